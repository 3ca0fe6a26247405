-- Ends lines of a batch that are no jobs: their own errors kept them from it, or the batch ends before their turn. A line
-- that has ended, or is a job, is passed over.
--
-- KEYS 1 batch, 2 ended lines, 3 live lines, 4 outbox, 5 retries, 6 tries, 7 positions
-- ARGV 1 state, 2 now (ms), then of each line: index, custom id, copies, error (JSON)
-- Returns how many ended now.
-- Needs line_end.lua
local count = 0
for i = 3, #ARGV, 4 do
  local index = ARGV[i]
  if not redis.call('ZSCORE', KEYS[3], index) then
    local line = { index = index, customId = ARGV[i + 1], copies = tonumber(ARGV[i + 2]), estimatedTokens = 0 }
    local job = { state = ARGV[1], createdAtMs = ARGV[2], endedAtMs = ARGV[2], echoed = '', usage = '', result = '', error = ARGV[i + 3] }
    if end_line(KEYS[1], KEYS[2], KEYS[4], line, job) then
      count = count + 1
    end
    if redis.call('ZREM', KEYS[5], index) == 1 then
      redis.call('HDEL', KEYS[6], index)
      redis.call('HDEL', KEYS[7], index)
    end
  end
end
return count
