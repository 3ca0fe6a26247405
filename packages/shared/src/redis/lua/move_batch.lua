-- Moves a batch on in its life, when it is in a status that the event leads on from.
--
-- KEYS 1 batch
-- ARGV 1 epoch of the scheduler that sees it through, or '' for whoever may at any time, 2 number of statuses,
--      then from, to of each, then field, value, ... to be set with it
-- Returns {'gone'}, {'fenced'} (another scheduler has it), {'moved', status} or {'ignored', status}.
local batch = redis.call('HMGET', KEYS[1], 'status', 'keeperEpoch')
if not batch[1] then
  return { 'gone' }
end
if ARGV[1] ~= '' and batch[2] ~= ARGV[1] then
  return { 'fenced' }
end
local pairs_end = 2 + 2 * ARGV[2]
for i = 3, pairs_end, 2 do
  if ARGV[i] == batch[1] then
    redis.call('HSET', KEYS[1], 'status', ARGV[i + 1])
    for field = pairs_end + 1, #ARGV, 2 do
      redis.call('HSET', KEYS[1], ARGV[field], ARGV[field + 1])
    end
    return { 'moved', ARGV[i + 1] }
  end
end
return { 'ignored', batch[1] }
