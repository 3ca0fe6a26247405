-- What the commands share that end a job.

-- Lets an ended job go after its time: as its submitter wants it, or else after `seconds`. Its events may go earlier than
-- its record, never later: nobody could find them.
local function keep_ended(record, events, now, seconds)
  local own = redis.call('HMGET', record, 'retentionSeconds', 'eventsRetentionSeconds')
  local kept = tonumber(own[1] or seconds)
  redis.call('HSET', record, 'expiresAtMs', string.format('%.0f', tonumber(now) + kept * 1000))
  redis.call('EXPIRE', record, kept)
  redis.call('EXPIRE', events, math.min(kept, tonumber(own[2] or kept)))
end
