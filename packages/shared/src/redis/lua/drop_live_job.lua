-- Takes a job out of its tenant's live jobs that has no record: it counts as never accepted.
--
-- KEYS 1 live jobs, 2 counters (both of the tenant)
-- ARGV 1 job id
-- Returns 1, or 0 when it was not in the index.
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HINCRBY', KEYS[2], 'accepted', -1)
return 1
