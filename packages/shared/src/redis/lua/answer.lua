-- What the commands share that write what a job has answered.

-- Replaces the fields by their JSON; '' leaves none.
local function write_answer(record, fields)
  for field, json in pairs(fields) do
    if json == '' then
      redis.call('HDEL', record, field)
    else
      redis.call('HSET', record, field, json)
    end
  end
end
