-- What the commands share that end lines of a batch. A line ends once: who sets its bit counts it, and puts its end into the
-- batch's outbox, all in one step. What is left of its job goes at once: the outbox has what is still needed of it.
-- Needs server_clock.lua

-- A line that failed in passing is put off so often, for 1, 4, 16 and 64 s.
local MAX_LINE_RETRIES = 4

local IS_OVER = { completed = true, failed = true, expired = true, cancelled = true }

-- A line that is a job leaves the live ones, with what it counted for. Its position stays. Returns whether it was one.
local function leave_live(batch, live, positions, index)
  if redis.call('ZREM', live, index) == 0 then
    return false
  end
  local position = redis.call('HGET', positions, index) or ''
  local bytes, tokens = string.match(position, '^%d+ (%d+) (%d+)$')
  -- Subtracted, as -0 would be no number to Redis.
  redis.call('HINCRBY', batch, 'liveBytes', 0 - (bytes or 0))
  redis.call('HINCRBY', batch, 'liveTokens', 0 - (tokens or 0))
  return true
end

-- `batch`, `ended`, `outbox`: keys. `line`: index, customId, copies, estimatedTokens. `job`: state, createdAtMs, endedAtMs, and
-- echoed, usage, result, error as JSON or ''. Returns whether the line ended now: it had not, and nor had its batch.
local function end_line(batch, ended, outbox, line, job)
  -- Of a batch that is over the bits are gone. Who comes that late was held up, or knows a line that this server forgot.
  local status = redis.call('HGET', batch, 'status')
  if not status or IS_OVER[status] or redis.call('SETBIT', ended, line.index, 1) == 1 then
    return false
  end
  local bytes = #line.customId + #job.echoed + #job.usage + #job.result + #job.error
  redis.call('XADD', outbox, '*', 'bytes', bytes, 'index', line.index, 'customId', line.customId, 'copies', line.copies,
    'state', job.state, 'createdAtMs', job.createdAtMs, 'endedAtMs', job.endedAtMs, 'echoed', job.echoed,
    'usage', job.usage, 'result', job.result, 'error', job.error)
  redis.call('HINCRBY', batch, 'outboxBytes', bytes)
  local lines = 1 + line.copies
  redis.call('HINCRBY', batch, job.state == 'completed' and 'completed' or 'failed', lines)
  redis.call('HINCRBY', batch, 'settledTokens', line.estimatedTokens)
  if job.usage ~= '' then
    local usage = cjson.decode(job.usage)
    redis.call('HINCRBY', batch, 'promptTokens', usage.promptTokens * lines)
    redis.call('HINCRBY', batch, 'completionTokens', usage.completionTokens * lines)
    redis.call('HINCRBY', batch, 'reasoningTokens', usage.reasoningTokens * lines)
    -- A copy was not computed: its whole prompt came from a cache.
    redis.call('HINCRBY', batch, 'cachedTokens', usage.cachedTokens + usage.promptTokens * line.copies)
    redis.call('HINCRBY', batch, 'spentTokens', usage.promptTokens + usage.completionTokens)
  end
  return true
end

-- Ends the line that a job runs, or puts it off when its failure is passing. The record holds how the job ended.
-- `keys`: 1 record, 2 events, 3 batch, 4 ended lines, 5 live lines, 6 outbox, 7 retries, 8 tries, 9 positions. `is_passing`: the
-- failure may be gone at the next try.
local function end_line_of_job(keys, is_passing)
  local fields = redis.call('HMGET', keys[1], 'line', 'state', 'createdAtMs', 'endedAtMs', 'echoed', 'usage', 'result', 'error')
  local line = cjson.decode(fields[1])
  line.index = string.match(keys[1], '%d+$')
  leave_live(keys[3], keys[5], keys[9], line.index)
  redis.call('DEL', keys[1], keys[2])
  if is_passing and redis.call('HGET', keys[3], 'status') == 'in_progress' then
    local tries = redis.call('HINCRBY', keys[8], line.index, 1)
    if tries <= MAX_LINE_RETRIES then
      redis.call('ZADD', keys[7], string.format('%.0f', tonumber(server_now_ms()) + 1000 * 4 ^ (tries - 1)), line.index)
      return
    end
  end
  redis.call('HDEL', keys[8], line.index)
  redis.call('HDEL', keys[9], line.index)
  end_line(keys[3], keys[4], keys[6], line, {
    state = fields[2],
    createdAtMs = fields[3],
    endedAtMs = fields[4],
    echoed = fields[5] or '',
    usage = fields[6] or '',
    result = fields[7] or '',
    error = fields[8] or '',
  })
end
