-- What hearing the publication takes: the level of the WAL, slots and senders that are free, who asks, and whether he may.
SELECT /* pgprime */ pg_catalog.current_setting('wal_level') AS wal_level,
    pg_catalog.current_setting('max_replication_slots')::bigint
        - (SELECT count(*) FROM pg_catalog.pg_replication_slots) AS slots,
    pg_catalog.current_setting('max_wal_senders')::bigint
        - (SELECT count(*) FROM pg_catalog.pg_stat_replication) AS senders,
    r.rolname::text AS role,
    r.rolreplication OR r.rolsuper AS may
FROM pg_catalog.pg_roles r
WHERE r.rolname = current_user
