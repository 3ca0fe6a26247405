-- Moves a job from its tenant's live jobs to the count of its terminal state. The entry is the right to count: whoever
-- takes it out counts the job, so it is counted once, however many settle it.
--
-- KEYS 1 live jobs, 2 counters (both of the tenant)
-- ARGV 1 job id, 2 terminal state, 3 prompt tokens, 4 completion tokens
-- Returns 1, or 0 when it was settled before.
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
redis.call('HINCRBY', KEYS[2], 'prompt_tokens', ARGV[3])
redis.call('HINCRBY', KEYS[2], 'completion_tokens', ARGV[4])
return 1
