-- A scheduler takes a batch over. Its number is the epoch that every later write of this scheduler carries.
--
-- KEYS 1 batch
-- Returns the epoch, or 0 when there is no such batch.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'keeperSaves', '0')
return redis.call('HINCRBY', KEYS[1], 'keeperEpoch', 1)
