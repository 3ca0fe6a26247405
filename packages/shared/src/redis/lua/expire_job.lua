-- Ends a queued job whose deadline has passed by this server's clock, the one clock that deadlines are judged by. A
-- running job is its worker's to stop.
--
-- KEYS 1 record, 2 events; of a batch's line: 3 batch, 4 ended lines, 5 live lines, 6 outbox, 7 retries, 8 tries,
--      9 positions
-- ARGV 1 seconds to keep the job, where its record does not say
-- Returns {'gone'}, {'ended'}, {'running'}, {'early'} or {'expired', tenant, model, class}.
-- Needs event_stream.lua
-- Needs retention.lua
-- Needs server_clock.lua
-- Needs line_end.lua
local job = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'deadlineAtMs', 'tenant', 'model', 'class')
if not job[1] then
  return { 'gone' }
end
if job[1] ~= 'queued' then
  return { job[1] == 'running' and 'running' or 'ended' }
end
local now = server_now_ms()
if not job[3] or tonumber(job[3]) > tonumber(now) then
  return { 'early' }
end
redis.call('HSET', KEYS[1], 'state', 'expired', 'endedAtMs', now)
if KEYS[3] then
  end_line_of_job(KEYS, false)
else
  local usage = redis.call('HGET', KEYS[1], 'usage') or 'null'
  local data = '{"status":"expired","usage":' .. usage .. ',"finish_reason":null}'
  publish(KEYS[2], job[2], last_seq(KEYS[2]) + 1, 'end', data)
  keep_ended(KEYS[1], KEYS[2], now, ARGV[1])
end
return { 'expired', job[4], job[5], job[6] or 'interactive' }
