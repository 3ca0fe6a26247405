-- Ends a reservation, unless somebody else has taken it over.
--
-- KEYS 1 key
-- ARGV 1 holder, 2 'accepted': its job is; 'refused': no job was made and none will be, the key is free again;
--      'unclear': the job may exist, and the next request of this key may go on at once, 3 seconds to keep an accepted key
-- Returns 1, or 0 when it is not this holder's.
local key = redis.call('HMGET', KEYS[1], 'holder', 'phase')
if key[1] ~= ARGV[1] or key[2] ~= 'accepting' then
  return 0
end
if ARGV[2] == 'refused' then
  redis.call('DEL', KEYS[1])
elseif ARGV[2] == 'unclear' then
  redis.call('HSET', KEYS[1], 'leaseUntilMs', '0')
else
  redis.call('HSET', KEYS[1], 'phase', 'accepted')
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return 1
