-- Gives a running job back to its queue, with the last events of its attempt: the next claim begins a new attempt, which
-- goes on behind them. Where events before these are missing they are dropped: the next attempt goes on from what is there.
--
-- KEYS 1 record, 2 events
-- ARGV 1 epoch, 2 now (ms), 3 why: 'given_back', 'parked', 'crashed', 'killed' or 'killed_further' (the job had got
--      further, so that its row of kills is over), 4 'suspect' when it runs alone from now on, then seq, type, data (JSON) of each event that is not published yet
-- Returns 1, or 0 when the job does not run under this epoch.
-- Needs event_stream.lua
-- Needs server_clock.lua
local COUNTED_AS = { parked = 'parks', crashed = 'crashes', killed = 'kills' }
local job = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if job[1] ~= 'running' or job[2] ~= ARGV[1] then
  return 0
end
if not has_gap(KEYS[2], 5) then
  publish_all(KEYS[1], KEYS[2], ARGV[1], ARGV[2], 5)
end
redis.call('HSET', KEYS[1], 'state', 'queued', 'queuedAtMs', ARGV[2])
if COUNTED_AS[ARGV[3]] then
  redis.call('HINCRBY', KEYS[1], COUNTED_AS[ARGV[3]], 1)
elseif ARGV[3] == 'killed_further' then
  redis.call('HDEL', KEYS[1], 'kills')
end
if ARGV[4] == 'suspect' then
  redis.call('HSETNX', KEYS[1], 'suspectSinceMs', server_now_ms())
end
return 1
