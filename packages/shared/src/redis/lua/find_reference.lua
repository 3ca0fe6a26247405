-- Where a job's reference is, in all queues of its model at one moment: one that changes its queue is in one of them. It
-- reads BullMQ's own keys, and changes none.
--
-- KEYS for each queue: BullMQ's job, its lock
-- Returns for each queue 'missing', 'finished' (done or failed, and kept), 'unleased' or 'leased'.
local places = {}
for i = 1, #KEYS, 2 do
  local reference, lock = KEYS[i], KEYS[i + 1]
  local job = redis.call('HMGET', reference, 'name', 'finishedOn')
  local place = 'unleased'
  if not job[1] then
    place = 'missing'
  elseif job[2] then
    place = 'finished'
  elseif redis.call('EXISTS', lock) == 1 then
    place = 'leased'
  end
  places[#places + 1] = place
end
return places
