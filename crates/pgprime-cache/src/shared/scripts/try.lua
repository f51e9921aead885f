-- A key of another type is garbage, and as good as none; any other refusal, such as a lacking permission, is told.
local function try(...)
  local value = redis.pcall(...)
  if type(value) ~= 'table' or not value.err then return value end
  if string.find(value.err, 'WRONGTYPE', 1, true) then return nil end
  return redis.call(...)
end
