-- Cancels a queued job at once; a running one is only marked, for its worker to stop it and commit the end.
--
-- KEYS 1 record, 2 events; of a batch's line: 3 batch, 4 ended lines, 5 live lines, 6 outbox, 7 retries, 8 tries,
--      9 positions
-- ARGV 1 now (ms), 2 seconds to keep the job, where its record does not say
-- Returns 'gone', 'ended', 'cancelled' or 'asked'.
-- Needs event_stream.lua
-- Needs retention.lua
-- Needs line_end.lua
local job = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if not job[1] then
  return 'gone'
end
if job[1] == 'running' then
  redis.call('HSET', KEYS[1], 'cancelRequested', '1')
  return 'asked'
end
if job[1] ~= 'queued' then
  return 'ended'
end
redis.call('HSET', KEYS[1], 'state', 'cancelled', 'endedAtMs', ARGV[1])
if KEYS[3] then
  end_line_of_job(KEYS, false)
else
  local usage = redis.call('HGET', KEYS[1], 'usage') or 'null'
  local data = '{"status":"cancelled","usage":' .. usage .. ',"finish_reason":null}'
  publish(KEYS[2], job[2], last_seq(KEYS[2]) + 1, 'end', data)
  keep_ended(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
end
return 'cancelled'
