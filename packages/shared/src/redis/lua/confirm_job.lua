-- Accepts a job that is in its queue: record and webhook no longer expire. A worker may have ended it already; then the
-- expiry is that of the ended job, and stays.
--
-- KEYS 1 record, 2 webhook
-- Returns 1, or 0 when there was nothing to confirm.
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'queued' and state ~= 'running' then
  return 0
end
redis.call('HDEL', KEYS[1], 'unconfirmed')
redis.call('PERSIST', KEYS[2])
return redis.call('PERSIST', KEYS[1])
