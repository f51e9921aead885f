SELECT /* pgprime */
    pg_catalog.current_setting('max_connections')::int8 AS max_connections,
    pg_catalog.current_setting('superuser_reserved_connections')::int8
        + coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int8 AS reserved,
    coalesce(a.state, 'unknown') AS state,
    count(*) AS sessions
FROM pg_catalog.pg_stat_activity a
WHERE a.backend_type IN ('client backend', 'walsender')
GROUP BY 3
