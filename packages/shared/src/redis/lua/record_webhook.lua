-- Writes how far the webhook of a job or a batch is. A record that is gone by now stays gone.
--
-- KEYS 1 record
-- ARGV 1 state of the webhook (JSON)
-- Returns 1, or 0 when there is no such record.
if redis.call('HEXISTS', KEYS[1], 'webhook') == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'webhook', ARGV[1])
return 1
