SELECT /* pgprime: settings of which no value is calculated */
    name, coalesce(setting, '') AS setting, unit, source, context, pending_restart
FROM pg_settings
WHERE name IN ('track_counts', 'pg_stat_statements.track_planning')
ORDER BY name
