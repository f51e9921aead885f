-- A writer is about to commit. KEYS: tables. ARGV: writer, lease in ms, a token never used before, time to live of epochs in
-- ms, the key that stands for all tables and lives for ever.
local time = redis.call('TIME')
-- As a client may send this twice.
local token = ARGV[3] .. '@' .. time[1] .. '.' .. time[2]
local lease = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
for i = 1, #KEYS do
  local key = KEYS[i]
  local epoch = try('HGET', key, 'e')
  -- Another type, or so many writers that nobody ever looked at the table and took away those that are gone: begin anew.
  if type(epoch) ~= 'string' or redis.call('HLEN', key) > 1000 then
    redis.call('DEL', key)
    redis.call('HSET', key, 'e', token)
  end
  redis.call('HSET', key, ARGV[1], string.format('%.0f', lease), 'm', token)
  if key ~= ARGV[5] then redis.call('PEXPIRE', key, ARGV[4]) end
end
return 1
