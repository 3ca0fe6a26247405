-- Unix milliseconds of this server's clock, the one that deadlines, leases and waits are judged by, as a text: a number of
-- that size would lose its last digits on its way into a command.
local function server_now_ms()
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end
