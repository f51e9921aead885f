SELECT /* pgprime */
    a.state,
    extract(epoch FROM a.backend_start)::float8 AS began,
    extract(epoch FROM a.query_start)::float8 AS query_began
FROM pg_catalog.pg_stat_activity a
WHERE a.pid = $1
