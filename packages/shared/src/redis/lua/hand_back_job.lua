-- Gives a running job back to its queue, with what its attempt has said: the next claim begins a new attempt, which goes
-- on from there.
--
-- KEYS 1 record, 2 events
-- ARGV 1 epoch, 2 now (ms), 3 '1' when the attempt ended in the death of its engine,
--      then seq, type, data (JSON) of each event that is not published yet
-- Returns 1, or 0 when the job does not run under this epoch.
-- Needs event_stream.lua
local job = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if job[1] ~= 'running' or job[2] ~= ARGV[1] then
  return 0
end
publish_all(KEYS[1], KEYS[2], ARGV[1], ARGV[2], 4)
redis.call('HSET', KEYS[1], 'state', 'queued', 'queuedAtMs', ARGV[2])
if ARGV[3] == '1' then
  redis.call('HINCRBY', KEYS[1], 'crashes', 1)
end
return 1
