-- Ends a queued job whose deadline has passed by this server's clock, the one clock that deadlines are judged by. A
-- running job is its worker's to stop. A job that has published something keeps that as its answer: the caller reads it
-- from the stream, and says how far it read.
--
-- KEYS 1 record, 2 events; of a batch's line: 3 batch, 4 ended lines, 5 live lines, 6 outbox, 7 retries, 8 tries,
--      9 positions
-- ARGV 1 seconds to keep the job, where its record does not say, 2 number of the last event that was read for the answer,
--      3 usage, 4 result (JSON or '')
-- Returns {'gone'}, {'ended'}, {'running'}, {'early'}, {'expired', tenant, model, class}, or {'unread'}: the stream has
-- other events, and nothing was changed.
-- Needs event_stream.lua
-- Needs answer.lua
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
local seq = last_seq(KEYS[2])
if seq ~= tonumber(ARGV[2]) then
  return { 'unread' }
end
redis.call('HSET', KEYS[1], 'state', 'expired', 'endedAtMs', now)
write_answer(KEYS[1], { usage = ARGV[3], result = ARGV[4] })
if KEYS[3] then
  end_line_of_job(KEYS, false)
else
  publish_unanswered_end(KEYS[2], job[2], seq + 1, 'expired', ARGV[3])
  keep_ended(KEYS[1], KEYS[2], now, ARGV[1])
end
return { 'expired', job[4], job[5], job[6] or 'interactive' }
