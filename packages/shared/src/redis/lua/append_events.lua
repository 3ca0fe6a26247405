-- Publishes token events of a running attempt. The fence: nothing is written unless the job still runs under this
-- epoch, so a worker that was given up for dead can't speak into its successor's stream.
--
-- KEYS 1 record, 2 events
-- ARGV 1 epoch, 2 now (ms), then seq, type, data (JSON) of each event
-- Returns 'ok', 'cancel' (written, and somebody wants the job cancelled), or that nothing was written: 'fenced', or 'gap',
-- when events before these are missing.
-- Needs event_stream.lua
local job = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'cancelRequested')
if job[1] ~= 'running' or job[2] ~= ARGV[1] then
  return 'fenced'
end
if has_gap(KEYS[2], 3) then
  return 'gap'
end
publish_all(KEYS[1], KEYS[2], ARGV[1], ARGV[2], 3)
return job[3] == '1' and 'cancel' or 'ok'
