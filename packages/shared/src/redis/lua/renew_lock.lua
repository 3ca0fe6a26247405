-- Keeps a lock that is still ours.
--
-- KEYS 1 lock
-- ARGV 1 token, 2 milliseconds from now until it lapses
-- Returns 1, or 0 when somebody else has it, or nobody.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
