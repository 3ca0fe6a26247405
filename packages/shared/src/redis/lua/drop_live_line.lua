-- Forgets a live line that has no record, which only a server that lost writes can show: it is to be fed again.
--
-- KEYS 1 live lines, 2 record
-- ARGV 1 index
-- Returns 1, or 0 when there is a record, or the line was none of the live ones.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
return redis.call('ZREM', KEYS[1], ARGV[1])
