-- A writer has changed nothing. KEYS: tables. ARGV: writer, a token never used before.
for i = 1, #KEYS do
  -- A writer that is not there any more has been taken for committed already.
  if try('HDEL', KEYS[i], ARGV[1]) == 1 then redis.call('HSET', KEYS[i], 'm', ARGV[2]) end
end
return 1
