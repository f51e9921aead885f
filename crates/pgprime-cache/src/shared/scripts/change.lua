-- Tables have changed. KEYS: tables. ARGV: a token never used before, time to live of epochs in ms, the key that stands for all
-- tables and lives for ever, then for each table the writer that did it, '' for none.
-- A client may send this twice: an epoch that comes back would make valid again what was stored under it.
local time = redis.call('TIME')
local token = ARGV[1] .. '@' .. time[1] .. '.' .. time[2]
for i = 1, #KEYS do
  local key, writer = KEYS[i], ARGV[i + 3]
  if writer ~= '' then try('HDEL', key, writer) end
  local done = redis.pcall('HSET', key, 'e', token, 'm', token)
  if type(done) == 'table' and done.err then
    -- Another type, or no memory left. A table without an epoch has no valid entries either.
    redis.call('DEL', key)
  elseif key ~= ARGV[3] then
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return 1
