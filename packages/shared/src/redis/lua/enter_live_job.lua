-- Enters an accepted job into its tenant's index of live jobs, and counts it. Done twice it counts once.
--
-- KEYS 1 live jobs, 2 counters (both of the tenant)
-- ARGV 1 job id
-- Returns 1, or 0 when it was in the index already.
-- Needs server_clock.lua
if redis.call('ZADD', KEYS[1], 'NX', server_now_ms(), ARGV[1]) == 0 then
  return 0
end
redis.call('HINCRBY', KEYS[2], 'accepted', 1)
return 1
