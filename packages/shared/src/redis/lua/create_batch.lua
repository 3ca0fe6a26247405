-- A new batch's record.
--
-- KEYS 1 batch, 2 webhook
-- ARGV 1 secret of its webhook or '', then field, value, field, value, ...
-- Returns 1, or 0 when a batch of this id exists already (nothing is changed).
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[2], 'secret', ARGV[1])
end
return 1
