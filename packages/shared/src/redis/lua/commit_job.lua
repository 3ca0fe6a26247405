-- Ends an attempt and with it the job: state, result, usage and the last events become visible together, or not at
-- all. A second commit, or one of a stale attempt, changes nothing.
--
-- KEYS 1 record, 2 events; of a batch's line: 3 batch, 4 ended lines, 5 live lines, 6 outbox, 7 retries, 8 tries,
--      9 positions
-- ARGV 1 epoch, 2 terminal state, 3 now (ms), 4 seconds to keep the job (where its record
--      does not say), 5 usage, 6 result, 7 error (JSON or ''), 8 'passing' when a next try may not fail,
--      then seq, type, data (JSON) of each remaining event, `end` the last
-- Returns 'committed', 'gone', 'gap' (events before these are missing, and nothing was changed), or the state the job is in when it does not run under this epoch.
-- Needs event_stream.lua
-- Needs answer.lua
-- Needs retention.lua
-- Needs line_end.lua
local job = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if not job[1] then
  return 'gone'
end
if job[1] ~= 'running' or job[2] ~= ARGV[1] then
  return job[1]
end
if not KEYS[3] and has_gap(KEYS[2], 9) then
  return 'gap'
end

redis.call('HSET', KEYS[1], 'state', ARGV[2], 'endedAtMs', ARGV[3])
write_answer(KEYS[1], { usage = ARGV[5], result = ARGV[6], error = ARGV[7] })
if KEYS[3] then
  end_line_of_job(KEYS, ARGV[8] == 'passing')
else
  publish_all(KEYS[1], KEYS[2], ARGV[1], ARGV[3], 9)
  keep_ended(KEYS[1], KEYS[2], ARGV[3], ARGV[4])
end
return 'committed'
