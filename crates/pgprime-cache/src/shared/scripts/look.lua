-- What holds for tables now. KEYS: generation, the key that stands for all tables, tables. ARGV: a token never used before, time to live of epochs in ms.
-- Answer: the server's identity, time in ms, generation, then for all and for each table its epoch and the last move of its
-- writers ('' without any).
-- A server's identity is its run id, which changes with every start, and its replication id, which changes with every promotion:
-- what a restored snapshot says of before is void, and so is what a replica had not been told when it took over.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local replication = redis.call('INFO', 'replication')
-- A primary that was made a replica knows no changes but late ones; its clients are not always told.
if not string.find(replication, 'role:master', 1, true) then
  return redis.error_reply('READONLY this is a replica')
end
local home = run and run .. '-' .. (string.match(replication, 'master_replid:(%w+)') or '') or ''
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A client may send a script twice that was carried out the first time: with the time in it the token is new again.
local fresh, ttl = ARGV[1] .. '@' .. time[1] .. '.' .. time[2], ARGV[2]

-- A slot that came from another server brings nothing valid along: what was lost there is not known here.
local generation = try('GET', KEYS[1])
if type(generation) ~= 'string' or string.sub(generation, -#home) ~= home then
  generation = fresh .. ' ' .. home
  redis.call('SET', KEYS[1], generation)
end

local answer = {home, string.format('%.0f', now), generation}
for i = 2, #KEYS do
  local key = KEYS[i]
  local epoch, move = false, ''
  -- Another type, or more writers than there can be, is not ours: begin anew.
  local size = try('HLEN', key)
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
