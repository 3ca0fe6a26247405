-- Begins an attempt. Its number is the epoch that fences whatever an earlier attempt still tries to write. A claim
-- out of `running` is a takeover: BullMQ leased the job again because the earlier worker's lease lapsed.
--
-- KEYS 1 record, 2 events
-- ARGV 1 now (ms)
-- Returns {'gone'}, {'ended', state} or {'claimed', field, value, ...} with the whole record.
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return { 'gone' }
end
if state ~= 'queued' and state ~= 'running' then
  return { 'ended', state }
end

local attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('HSET', KEYS[1], 'state', 'running')
redis.call('HSETNX', KEYS[1], 'startedAtMs', ARGV[1])
redis.call('PERSIST', KEYS[1])

local kind = redis.call('EXISTS', KEYS[2]) == 1 and 'restart' or 'start'
local data = '{"attempt":' .. attempt .. '}'
local id = attempt .. '-1'
redis.call('XADD', KEYS[2], id, 'type', kind, 'data', data)
redis.call('PUBLISH', KEYS[2], '{"id":"' .. id .. '","type":"' .. kind .. '","data":' .. data .. '}')

local reply = { 'claimed' }
for _, value in ipairs(redis.call('HGETALL', KEYS[1])) do
  reply[#reply + 1] = value
end
return reply
