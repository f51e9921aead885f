WITH /* pgprime */ locks AS MATERIALIZED (
    SELECT pid, granted, locktype, mode, database, relation FROM pg_catalog.pg_locks
    WHERE NOT granted OR locktype = 'tuple'
)
SELECT
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
    CASE
        WHEN l.locktype = 'tuple' THEN 'a row of ' || r.name
        -- Whoever waits for a row locks the right to be the next and waits for the end of the transaction that has it.
        WHEN l.locktype = 'transactionid' AND r.name IS NOT NULL THEN 'a row of ' || r.name
        WHEN l.locktype IN ('transactionid', 'virtualxid', 'spectoken') THEN 'the end of a transaction'
        WHEN l.locktype = 'advisory' THEN 'an advisory lock'
        ELSE l.mode || ' on ' || coalesce(r.name, l.locktype)
    END AS lock,
    left(a.query, 2000) AS query,
    -- Of others it would be how long ago their last statement began.
    CASE WHEN a.state IN ('active', 'fastpath function call')
        THEN extract(epoch FROM clock_timestamp() - a.query_start)::float8 END AS query_s,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_s,
    extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_s,
    pg_catalog.pg_blocking_pids(a.pid) AS blocked_by
FROM pg_catalog.pg_stat_activity a
-- A session waits for one lock at a time.
LEFT JOIN (SELECT DISTINCT ON (pid) * FROM locks WHERE NOT granted) l ON l.pid = a.pid
LEFT JOIN (SELECT DISTINCT ON (pid) * FROM locks WHERE granted) t ON t.pid = a.pid AND l.locktype = 'transactionid'
LEFT JOIN pg_catalog.pg_database d ON d.datname = current_database()
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN coalesce(t.relation, l.relation) IS NULL THEN NULL
        WHEN coalesce(t.database, l.database) = d.oid THEN coalesce(t.relation, l.relation)::regclass::text
        ELSE 'a relation of another database'
    END AS name
) r
WHERE a.pid <> pg_catalog.pg_backend_pid()
    AND (a.backend_type IN ('client backend', 'walsender') OR a.state IS NOT NULL)
ORDER BY (a.state = 'active') DESC NULLS LAST, a.xact_start NULLS LAST, a.pid
LIMIT 1000
