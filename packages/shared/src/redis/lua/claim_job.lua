-- Begins an attempt. Its number is the epoch that fences whatever an earlier attempt still tries to write. A claim
-- out of `running` is a takeover: BullMQ leased the job again because the earlier worker's lease lapsed.
--
-- KEYS 1 record, 2 events, 3 webhook
-- ARGV 1 now (ms), 2 'alone' when nothing else is in the engine, 3 kills in a row after which a lost attempt makes a suspect,
--      4 token of this claim, 5 id of the worker
-- Returns {'gone'}, {'ended', state}, {'overdue'}, {'suspect'} when it may run alone only, or {'claimed', number of the
-- last event, field, value, ...} with the whole record. `overdue`: its deadline passed while it was queued, by this
-- server's clock, and nothing was changed; expire_job.lua ends it.
-- Needs event_stream.lua
-- Needs server_clock.lua
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return { 'gone' }
end
if state ~= 'queued' and state ~= 'running' then
  return { 'ended', state }
end

local function claimed(seq)
  local reply = { 'claimed', tostring(seq) }
  for _, value in ipairs(redis.call('HGETALL', KEYS[1])) do
    reply[#reply + 1] = value
  end
  return reply
end

-- A command whose reply was cut off with the connection is sent again: nothing was lost, it finds the attempt that it began.
if state == 'running' and redis.call('HGET', KEYS[1], 'claimToken') == ARGV[4] then
  return claimed(last_seq(KEYS[2]))
end

local server_now = server_now_ms()
local deadline = redis.call('HGET', KEYS[1], 'deadlineAtMs')
if state == 'queued' and deadline and tonumber(deadline) <= tonumber(server_now) then
  return { 'overdue' }
end

-- A worker that vanished was killed from outside, as far as can be seen, but a job can take its whole worker with it. A
-- worker that claims its own job again has lost the lease only, as in a long outage of Redis.
local is_suspect = redis.call('HEXISTS', KEYS[1], 'suspectSinceMs') == 1
if state == 'running' and redis.call('HGET', KEYS[1], 'workerId') ~= ARGV[5] then
  redis.call('HINCRBY', KEYS[1], 'lostAttempts', 1)
  if got_further(KEYS[2], redis.call('HGET', KEYS[1], 'attempt')) then
    redis.call('HDEL', KEYS[1], 'kills')
  elseif redis.call('HINCRBY', KEYS[1], 'kills', 1) >= tonumber(ARGV[3]) and not is_suspect then
    redis.call('HSET', KEYS[1], 'suspectSinceMs', server_now)
    is_suspect = true
  end
end
if is_suspect and ARGV[2] ~= 'alone' then
  -- Out of `running`, so that the attempt that was lost can't write any more.
  redis.call('HSET', KEYS[1], 'state', 'queued', 'queuedAtMs', ARGV[1])
  return { 'suspect' }
end

local attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('HSET', KEYS[1], 'state', 'running', 'claimedAtMs', server_now, 'claimToken', ARGV[4],
  'workerId', ARGV[5])
redis.call('HSETNX', KEYS[1], 'startedAtMs', ARGV[1])
-- The submitter may have died before it confirmed the job.
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[3])

-- A later attempt goes on where the stream ends, and says so only where it can't.
local seq = last_seq(KEYS[2])
if seq == 0 then
  seq = 1
  publish(KEYS[2], attempt, seq, 'start', '{"attempt":' .. attempt .. '}')
end
return claimed(seq)
