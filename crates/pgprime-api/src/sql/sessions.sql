SELECT /* pgprime */
    a.pid,
    a.usename::text AS user,
    a.datname::text AS database,
    a.application_name AS application,
    -- As `pgprime run` calls its sessions.
    a.application_name = 'pgprime' AND a.backend_type = 'client backend' AS is_own,
    host(a.client_addr) AS client_address,
    a.backend_type,
    a.state,
    a.wait_event_type,
    a.wait_event,
    l.mode || CASE
        WHEN l.relation IS NULL THEN ' on ' || l.locktype
        WHEN l.database = d.oid THEN ' on ' || l.relation::regclass::text
        ELSE ' on a relation'
    END AS lock,
    left(a.query, 2000) AS query,
    extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS query_s,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_s,
    extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_s,
    pg_catalog.pg_blocking_pids(a.pid) AS blocked_by
FROM pg_catalog.pg_stat_activity a
-- A session waits for one lock at a time.
LEFT JOIN (SELECT DISTINCT ON (pid) * FROM pg_catalog.pg_locks WHERE NOT granted) l ON l.pid = a.pid
LEFT JOIN pg_catalog.pg_database d ON d.datname = current_database()
WHERE a.pid <> pg_catalog.pg_backend_pid()
    AND (a.backend_type IN ('client backend', 'walsender') OR a.state IS NOT NULL)
ORDER BY (a.state = 'active') DESC NULLS LAST, a.xact_start NULLS LAST, a.pid
LIMIT 1000
