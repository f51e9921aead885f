SELECT /* pgprime: what keeps dead rows from being removed, oldest first */
    kind, name, transaction_age
FROM (
    SELECT 'session' AS kind, pid::text AS name,
        greatest(age(backend_xmin), age(backend_xid))::int8 AS transaction_age
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
    UNION ALL
    SELECT 'prepared transaction', gid, age(transaction)::int8
    FROM pg_prepared_xacts
    UNION ALL
    SELECT 'replication slot', slot_name, greatest(age(xmin), age(catalog_xmin))::int8
    FROM pg_replication_slots
    UNION ALL
    SELECT 'replica', coalesce(nullif(application_name, ''), pid::text), age(backend_xmin)::int8
    FROM pg_stat_replication
) holder
WHERE transaction_age IS NOT NULL
ORDER BY transaction_age DESC
LIMIT 5
