-- Forgets a live line that has no record, which only a server that lost writes can show: it is to be fed again.
--
-- KEYS 1 batch, 2 live lines, 3 positions, 4 record
-- ARGV 1 index
-- Returns 1, or 0 when there is a record, or the line was none of the live ones.
-- Needs line_end.lua
if redis.call('EXISTS', KEYS[4]) == 1 or not leave_live(KEYS[1], KEYS[2], KEYS[3], ARGV[1]) then
  return 0
end
redis.call('HDEL', KEYS[3], ARGV[1])
return 1
