-- Records how far the outbox of a batch stands in its files, and lets go of what does. The fence: a scheduler whose lease
-- of the batch lapsed changes nothing, nor does one that has seen what this server has lost since.
--
-- KEYS 1 batch, 2 outbox
-- ARGV 1 epoch, 2 what is recorded (JSON), 3 the last id that is in the files, or '', 4 the first id that is not, or '',
--      5 how many saves of this epoch there were, 6 lines that count as failed from now on, not completed,
--      7 bytes that the outbox has less
-- Returns 1, or 0 when another scheduler has the batch, or the server has gone back in time.
local batch = redis.call('HMGET', KEYS[1], 'keeperEpoch', 'keeperSaves')
if batch[1] ~= ARGV[1] then
  return 0
end
if (batch[2] or '0') ~= ARGV[5] then
  return 0
end
if ARGV[3] ~= '' then
  if #redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[3]) == 0 then
    return 0
  end
  redis.call('XTRIM', KEYS[2], 'MINID', ARGV[4])
  redis.call('HINCRBY', KEYS[1], 'outboxBytes', 0 - ARGV[7])
end
if ARGV[6] ~= '0' then
  redis.call('HINCRBY', KEYS[1], 'completed', 0 - ARGV[6])
  redis.call('HINCRBY', KEYS[1], 'failed', ARGV[6])
end
redis.call('HSET', KEYS[1], 'collected', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'keeperSaves', 1)
return 1
