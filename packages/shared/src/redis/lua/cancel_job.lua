-- Cancels a queued job at once; a running one is only marked, for its worker to stop it and commit the end. A queued job
-- that has published something keeps that as its answer: the caller reads it from the stream, and says how far it read.
--
-- KEYS 1 record, 2 events; of a batch's line: 3 batch, 4 ended lines, 5 live lines, 6 outbox, 7 retries, 8 tries,
--      9 positions
-- ARGV 1 now (ms), 2 seconds to keep the job, where its record does not say, 3 number of the last event that was read
--      for the answer, 4 usage, 5 result (JSON or '')
-- Returns 'gone', 'ended', 'cancelled', 'asked', or 'unread': the stream has other events, and nothing was changed.
-- Needs event_stream.lua
-- Needs answer.lua
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
local seq = last_seq(KEYS[2])
if seq ~= tonumber(ARGV[3]) then
  return 'unread'
end
redis.call('HSET', KEYS[1], 'state', 'cancelled', 'endedAtMs', ARGV[1])
write_answer(KEYS[1], { usage = ARGV[4], result = ARGV[5] })
if KEYS[3] then
  end_line_of_job(KEYS, false)
else
  publish_unanswered_end(KEYS[2], job[2], seq + 1, 'cancelled', ARGV[4])
  keep_ended(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
end
return 'cancelled'
