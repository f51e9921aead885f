SELECT /* pgprime: connections by who holds them; a state that this role may not see is null */
    datname::text AS database,
    usename::text AS role,
    application_name AS application,
    datname = current_database() AND usename = current_user AS is_own,
    count(*)::int8 AS connections,
    count(*) FILTER (WHERE state IN ('active', 'fastpath function call'))::int8 AS active,
    count(*) FILTER (WHERE state = 'idle')::int8 AS idle,
    count(*) FILTER (WHERE state LIKE 'idle in transaction%')::int8 AS idle_in_transaction
FROM pg_stat_activity
WHERE pid <> pg_backend_pid()
    AND datid IS NOT NULL
    AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY datname, usename, application_name
ORDER BY connections DESC, database, role, application
