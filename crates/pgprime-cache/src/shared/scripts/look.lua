-- What holds for tables now. KEYS: generation, the key that stands for all tables, tables. ARGV: a token never used before, time to live of epochs in ms.
-- Answer: run id, time in ms, generation, then for all and for each table its epoch and the last move of its writers ('' without any).
-- The run id changes with every start of a server: what a restored snapshot says of before is thereby void.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
-- A primary that was made a replica knows no changes but late ones; its clients are not always told.
if not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
  return redis.error_reply('READONLY this is a replica')
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fresh, ttl = ARGV[1], ARGV[2]

local generation = redis.pcall('GET', KEYS[1])
if type(generation) ~= 'string' then
  redis.call('SET', KEYS[1], fresh)
  generation = fresh
end

local answer = {run, string.format('%.0f', now), generation}
for i = 2, #KEYS do
  local key = KEYS[i]
  local epoch, move = false, ''
  -- Another type, or more writers than there can be, is not ours: begin anew.
  local size = redis.pcall('HLEN', key)
  if type(size) ~= 'number' or size > 10000 then
    redis.call('DEL', key)
    size = 0
  end
  local expired = {}
  if size > 0 then
    local fields, last, writers = redis.call('HGETALL', key), '', false
    for f = 1, #fields, 2 do
      local name, value = fields[f], fields[f + 1]
      if name == 'e' then
        epoch = value
      elseif name == 'm' then
        last = value
      else
        local lease = tonumber(value)
        if lease and lease > now then writers = true else expired[#expired + 1] = name end
      end
    end
    if writers then move = '+' .. last end
  end
  -- Without an epoch (never seen, evicted, flushed) nothing from before can be valid; nor after a writer whose end is unknown.
  if not epoch or #expired > 0 then
    for f = 1, #expired do redis.call('HDEL', key, expired[f]) end
    redis.call('HSET', key, 'e', fresh, 'm', fresh)
    if i > 2 then redis.call('PEXPIRE', key, ttl) end
    epoch = fresh
    if move ~= '' then move = '+' .. fresh end
  end
  answer[#answer + 1] = epoch
  answer[#answer + 1] = move
end
return answer
