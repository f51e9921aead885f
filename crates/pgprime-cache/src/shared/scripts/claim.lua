-- The right to fill an entry, and the entry as it is. KEYS: claim, entry. ARGV: owner, lease in ms, last byte of an entry.
local claimed = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
local entry = redis.pcall('GETRANGE', KEYS[2], 0, ARGV[3])
if type(entry) ~= 'string' then entry = '' end
return {claimed and 1 or 0, entry}
