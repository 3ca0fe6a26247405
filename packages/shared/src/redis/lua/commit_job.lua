-- Ends an attempt and with it the job: state, result, usage and the last events become visible together, or not at
-- all. A second commit, or one of a stale attempt, changes nothing.
--
-- KEYS 1 record, 2 events
-- ARGV 1 epoch, 2 terminal state, 3 now (ms), 4 seconds to keep the job, 5 usage, 6 result, 7 error (JSON or ''),
--      then seq, type, data (JSON) of each remaining event, `end` the last
-- Returns 'committed', 'gone', or the state the job is in when it does not run under this epoch.
local job = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if not job[1] then
  return 'gone'
end
if job[1] ~= 'running' or job[2] ~= ARGV[1] then
  return job[1]
end

redis.call('HSET', KEYS[1], 'state', ARGV[2], 'endedAtMs', ARGV[3])
for position, field in pairs({ [5] = 'usage', [6] = 'result', [7] = 'error' }) do
  if ARGV[position] ~= '' then
    redis.call('HSET', KEYS[1], field, ARGV[position])
  end
end
-- A command whose reply was cut off with the connection is sent again: events that are there already are passed over.
local published = 0
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if last and string.match(last[1], '^%d+') == ARGV[1] then
  published = tonumber(string.match(last[1], '%d+$'))
end
for i = 8, #ARGV, 3 do
  if tonumber(ARGV[i]) > published then
    local id = ARGV[1] .. '-' .. ARGV[i]
    redis.call('XADD', KEYS[2], id, 'type', ARGV[i + 1], 'data', ARGV[i + 2])
    redis.call('PUBLISH', KEYS[2], '{"id":"' .. id .. '","type":"' .. ARGV[i + 1] .. '","data":' .. ARGV[i + 2] .. '}')
    if ARGV[i + 1] == 'delta' then
      redis.call('HSETNX', KEYS[1], 'firstTokenAtMs', ARGV[3])
    end
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return 'committed'
