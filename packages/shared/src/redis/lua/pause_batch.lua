-- Pauses a batch that is not over, or lets it go on. Lines that are jobs already run on.
--
-- KEYS 1 batch
-- ARGV 1 'pause' or 'resume', 2 now (ms)
-- Returns the status that the batch is in, or 'gone'; only one that is 'validating' or 'in_progress' was changed.
local status = redis.call('HGET', KEYS[1], 'status')
if not status then
  return 'gone'
end
if status == 'validating' or status == 'in_progress' then
  if ARGV[1] == 'pause' then
    redis.call('HSETNX', KEYS[1], 'pausedAtMs', ARGV[2])
  else
    redis.call('HDEL', KEYS[1], 'pausedAtMs')
  end
end
return status
