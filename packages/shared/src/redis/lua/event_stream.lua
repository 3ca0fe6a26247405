-- What the commands share that write a job's token events. Numbers go on over all attempts: the event after `1-7` is
-- `1-8`, or `2-8` when another attempt says it.

-- The number of the last event; 0 when there is none.
local function last_seq(events)
  local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
  return last and tonumber(string.match(last[1], '%d+$')) or 0
end

-- Writes one event and announces it. `data` is JSON.
local function publish(events, epoch, seq, type, data)
  local id = epoch .. '-' .. seq
  redis.call('XADD', events, id, 'type', type, 'data', data)
  redis.call('PUBLISH', events, '{"id":"' .. id .. '","type":"' .. type .. '","data":' .. data .. '}')
end

-- Writes the last event of a job that ends without a worker. `usage` is JSON, or '' for none.
local function publish_unanswered_end(events, epoch, seq, state, usage)
  local used = usage == '' and 'null' or usage
  publish(events, epoch, seq, 'end', '{"status":"' .. state .. '","usage":' .. used .. ',"finish_reason":null}')
end

-- Whether an attempt has published anything behind what it found. One that began anew (`restart`) has not: it is not known
-- here how far the earlier ones had come.
local function got_further(events, attempt)
  for _, entry in ipairs(redis.call('XRANGE', events, attempt, attempt, 'COUNT', 2)) do
    local type = entry[2][2]
    if type ~= 'start' then
      return type == 'delta'
    end
  end
  return false
end

-- Whether events between the stream's last one and the first one that ARGV holds (at `first`) are missing: this server
-- had acknowledged them, and has lost them since. What would follow such a gap is not written.
local function has_gap(events, first)
  return ARGV[first] ~= nil and tonumber(ARGV[first]) > last_seq(events) + 1
end

-- Writes the events that ARGV holds from `first` on, as seq, type, data each. A command whose reply was cut off with the
-- connection is sent again: events that are there already are passed over.
local function publish_all(record, events, epoch, now, first)
  local published = last_seq(events)
  for i = first, #ARGV, 3 do
    if tonumber(ARGV[i]) > published then
      publish(events, epoch, ARGV[i], ARGV[i + 1], ARGV[i + 2])
      if ARGV[i + 1] == 'delta' then
        redis.call('HSETNX', record, 'firstTokenAtMs', now)
      end
    end
  end
end
