-- A writer has changed nothing. KEYS: tables. ARGV: writer, a token never used before.
-- A key of another type is garbage, and as good as none; any other refusal, such as a lacking permission, is told.
local function try(...)
  local value = redis.pcall(...)
  if type(value) ~= 'table' or not value.err then return value end
  if string.find(value.err, 'WRONGTYPE', 1, true) then return nil end
  return redis.call(...)
end
for i = 1, #KEYS do
  -- A writer that is not there any more has been taken for committed already.
  if try('HDEL', KEYS[i], ARGV[1]) == 1 then redis.call('HSET', KEYS[i], 'm', ARGV[2]) end
end
return 1
