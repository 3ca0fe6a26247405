-- Puts a file's record into the place that was kept for it. Done again it changes nothing.
--
-- KEYS 1 record
-- ARGV 1 its JSON
-- Returns 1, or 0 when the reservation has lapsed: what was written may have been removed.
local record = redis.call('GET', KEYS[1])
if not record then
  return 0
end
if record == '' then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
