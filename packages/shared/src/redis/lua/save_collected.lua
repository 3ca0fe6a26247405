-- Records how far the outbox of a batch stands in its files, and lets go of what does. The fence: a scheduler whose lease
-- of the batch lapsed changes nothing.
--
-- KEYS 1 batch, 2 outbox
-- ARGV 1 epoch, 2 what is recorded (JSON), 3 the first id that is not in the files
-- Returns 1, or 0 when another scheduler has the batch.
if redis.call('HGET', KEYS[1], 'keeperEpoch') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'collected', ARGV[2])
redis.call('XTRIM', KEYS[2], 'MINID', ARGV[3])
return 1
