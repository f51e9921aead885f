WITH /* pgprime: who waits for a lock, since when, and behind whom */ ungranted AS MATERIALIZED (
    SELECT DISTINCT ON (l.pid)
        l.pid, l.mode, l.locktype, l.relation, l.database,
        (to_jsonb(l) ->> 'waitstart')::timestamptz AS since
    FROM pg_locks l
    WHERE NOT l.granted AND l.pid IS NOT NULL
), waiting AS MATERIALIZED (
    SELECT u.*, pg_blocking_pids(u.pid) AS blocked_by
    FROM (SELECT * FROM ungranted ORDER BY since NULLS FIRST, pid LIMIT 50) u
), involved AS (
    SELECT pid FROM waiting UNION SELECT unnest(blocked_by) FROM waiting
)
SELECT
    i.pid,
    coalesce(w.blocked_by, '{}') AS blocked_by,
    w.mode AS lock_mode,
    coalesce(
        (
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
            FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = w.relation
                AND w.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ),
        w.locktype
    ) AS lock_on,
    CASE WHEN w.pid IS NOT NULL THEN
        extract(epoch FROM clock_timestamp() - coalesce(w.since, a.query_start))::float8
    END AS wait_s,
    a.usename::text AS username,
    a.datname::text AS database,
    a.application_name AS application,
    coalesce(host(a.client_addr), 'local') AS client_address,
    a.state,
    a.wait_event_type || ': ' || a.wait_event AS wait_event,
    left(a.query, 300) AS query,
    extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS query_s,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_s,
    extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_s
FROM involved i
LEFT JOIN waiting w ON w.pid = i.pid
LEFT JOIN pg_stat_activity a ON a.pid = i.pid
ORDER BY wait_s DESC NULLS LAST, i.pid
LIMIT 200
