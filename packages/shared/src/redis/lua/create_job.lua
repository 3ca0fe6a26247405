-- Writes a new job's record. Record and webhook expire unless the job is confirmed or claimed by a worker: a gateway that
-- dies between recording and enqueueing leaves nothing behind, and its caller never saw a 202. The field `unconfirmed`
-- tells the sweep which jobs it has to confirm.
--
-- KEYS 1 record, 2 webhook
-- ARGV 1 seconds until an unconfirmed record expires, 2 secret of its webhook or '', then field, value, field, value, ...
-- Returns 1, or 0 when a job of this id exists already (nothing is changed).
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'unconfirmed', '1')
redis.call('EXPIRE', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[2], 'secret', ARGV[2])
  redis.call('EXPIRE', KEYS[2], ARGV[1])
end
return 1
