-- Asks for the right to submit the job of an Idempotency-Key. The job's id is settled by the first reservation: who takes
-- over one whose lease has lapsed submits under the same id, which makes no second job.
--
-- KEYS 1 key
-- ARGV 1 digest of the request, 2 id for the job, 3 holder (any id of this reservation), 4 lease (ms), 5 seconds to keep
--      the key, 6 seconds after which a job that nobody confirmed may have come and gone
-- Returns {'reserved', job id}, {'taken_over', job id}, {'accepted', job id}, {'in_flight'} or {'reused'} (by another request).
-- Needs server_clock.lua
local now = server_now_ms()
local lease = string.format('%.0f', now + ARGV[4])
local known = redis.call('HMGET', KEYS[1], 'requestHash', 'jobId', 'phase', 'leaseUntilMs', 'reservedAtMs')
if not known[1] then
  redis.call('HSET', KEYS[1], 'requestHash', ARGV[1], 'jobId', ARGV[2], 'phase', 'accepting', 'holder', ARGV[3],
    'leaseUntilMs', lease, 'reservedAtMs', now)
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  return { 'reserved', ARGV[2] }
end
if known[1] ~= ARGV[1] then
  return { 'reused' }
end
if known[3] == 'accepted' or tonumber(known[5]) + ARGV[6] * 1000 < tonumber(now) then
  return { 'accepted', known[2] }
end
if tonumber(known[4]) > tonumber(now) then
  return { 'in_flight' }
end
redis.call('HSET', KEYS[1], 'holder', ARGV[3], 'leaseUntilMs', lease)
return { 'taken_over', known[2] }
