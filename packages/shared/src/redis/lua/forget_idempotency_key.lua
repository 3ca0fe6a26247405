-- Frees an Idempotency-Key whose job is erased.
--
-- KEYS 1 key
-- ARGV 1 job id
-- Returns 1, or 0 when the key stands for another job, or none.
if redis.call('HGET', KEYS[1], 'jobId') ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
