-- Keeps the place of a file's record while its content is being written.
--
-- KEYS 1 record
-- ARGV 1 until when, in Unix milliseconds of Redis' clock
-- Returns 1, or 0 when the record is there already.
local record = redis.call('GET', KEYS[1])
if record and record ~= '' then
  return 0
end
redis.call('SET', KEYS[1], '', 'PXAT', ARGV[1])
return 1
