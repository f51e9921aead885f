SELECT /* pgprime: relations that cannot be opened now, and who keeps them; a lock that is waited for blocks as well */
    c.oid AS oid,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified,
    array_agg(DISTINCT l.pid) FILTER (WHERE l.pid IS NOT NULL) AS holders
FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND c.oid >= 16384
    AND (
        l.mode = 'AccessExclusiveLock'
        OR c.relkind = 'S' AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock')
    )
GROUP BY c.oid, n.nspname, c.relname
ORDER BY qualified
