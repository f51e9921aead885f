SELECT /* pgprime: what autovacuum goes by */ name, setting
FROM pg_settings
WHERE name LIKE 'autovacuum%' OR name IN ('track_counts', 'vacuum_failsafe_age', 'vacuum_multixact_failsafe_age')
