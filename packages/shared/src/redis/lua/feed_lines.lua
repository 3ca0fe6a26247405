-- Makes jobs of lines of a batch, unless it takes no more. A line that has ended is passed over; one that is a job already
-- stays as it is. So lines may be fed twice, and by two.
--
-- KEYS 1 batch, 2 ended lines, 3 live lines, 4 retries, 5 positions, then the record of each line
-- ARGV of each line: index, its offset, bytes, and tokens, number of fields and values, then field, value, field, value, ...
-- Returns {'stopped'} when the batch is paused or not in progress, or {'fed', 1 or 0 of each line}: 1 is a job now, and
-- wants a reference in its queue; 0 has ended.
-- Needs server_clock.lua
local batch = redis.call('HMGET', KEYS[1], 'status', 'pausedAtMs')
if batch[1] ~= 'in_progress' or batch[2] then
  return { 'stopped' }
end
local now = server_now_ms()
local reply = { 'fed' }
local at = 1
for i = 6, #KEYS do
  local index, offset, bytes, tokens, count = unpack(ARGV, at, at + 4)
  if redis.call('GETBIT', KEYS[2], index) == 1 then
    reply[#reply + 1] = 0
  else
    if redis.call('EXISTS', KEYS[i]) == 0 then
      redis.call('HSET', KEYS[i], unpack(ARGV, at + 5, at + 4 + count))
    end
    if redis.call('ZADD', KEYS[3], 'NX', now, index) == 1 then
      redis.call('HSET', KEYS[5], index, offset .. ' ' .. bytes .. ' ' .. tokens)
      redis.call('HINCRBY', KEYS[1], 'liveBytes', bytes)
      redis.call('HINCRBY', KEYS[1], 'liveTokens', tokens)
    end
    reply[#reply + 1] = 1
  end
  redis.call('ZREM', KEYS[4], index)
  at = at + 5 + count
end
return reply
