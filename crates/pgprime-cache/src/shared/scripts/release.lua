-- Gives up the right to fill, unless it has passed to another. KEYS: claim. ARGV: owner.
if redis.pcall('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
