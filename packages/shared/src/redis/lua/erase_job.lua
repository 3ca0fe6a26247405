-- Erases a job in whatever state, with every text of it. What stays for a while is a record without a state: to every
-- command the job is gone, and a submitter or worker that comes late can't bring it back. Followers hear an `end`.
--
-- KEYS 1 record, 2 events, 3 webhook
-- ARGV 1 seconds until nobody can come late any more, 2 '1': a job that has no record must not get one either, as a
--      submitter does that withdraws a job whose record may still be on its way
-- Returns the state it was in, or 'gone'.
-- Needs event_stream.lua
local job = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if not job[1] then
  if ARGV[2] == '1' then
    redis.call('HSET', KEYS[1], 'erased', '1')
    redis.call('EXPIRE', KEYS[1], ARGV[1])
  end
  return 'gone'
end
if job[1] == 'queued' or job[1] == 'running' then
  local id = job[2] .. '-' .. last_seq(KEYS[2]) + 1
  redis.call('PUBLISH', KEYS[2], '{"id":"' .. id .. '","type":"end","data":{"status":"cancelled","usage":null,"finish_reason":null}}')
end
redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[2])
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[1], 'erased', '1')
redis.call('EXPIRE', KEYS[1], ARGV[1])
return job[1]
