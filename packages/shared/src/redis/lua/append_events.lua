-- Publishes token events of a running attempt. The fence: nothing is written unless the job still runs under this
-- epoch, so a worker that was given up for dead can't speak into its successor's stream.
--
-- KEYS 1 record, 2 events
-- ARGV 1 epoch, 2 now (ms), then seq, type, data (JSON) of each event
-- Returns 'ok', 'cancel' (written, and somebody wants the job cancelled) or 'fenced' (nothing written).
local job = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'cancelRequested')
if job[1] ~= 'running' or job[2] ~= ARGV[1] then
  return 'fenced'
end
-- A command whose reply was cut off with the connection is sent again: events that are there already are passed over.
local published = 0
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if last and string.match(last[1], '^%d+') == ARGV[1] then
  published = tonumber(string.match(last[1], '%d+$'))
end
for i = 3, #ARGV, 3 do
  if tonumber(ARGV[i]) > published then
    local id = ARGV[1] .. '-' .. ARGV[i]
    redis.call('XADD', KEYS[2], id, 'type', ARGV[i + 1], 'data', ARGV[i + 2])
    redis.call('PUBLISH', KEYS[2], '{"id":"' .. id .. '","type":"' .. ARGV[i + 1] .. '","data":' .. ARGV[i + 2] .. '}')
    if ARGV[i + 1] == 'delta' then
      redis.call('HSETNX', KEYS[1], 'firstTokenAtMs', ARGV[2])
    end
  end
end
return job[3] == '1' and 'cancel' or 'ok'
