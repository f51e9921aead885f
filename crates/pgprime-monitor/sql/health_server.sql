SELECT /* pgprime: what server this is, who asks, and the settings that checks go by */
    current_setting('server_version_num')::int4 AS version_number,
    current_setting('server_version') AS version,
    current_database()::text AS database,
    quote_ident(current_user) AS role,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all,
    recovery.is_on AS in_recovery,
    extract(epoch FROM clock_timestamp())::float8 AS at_s,
    extract(epoch FROM pg_postmaster_start_time())::float8 AS started_s,
    (
        CASE
            WHEN recovery.is_on THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            ELSE pg_current_wal_lsn()
        END - '0/0'::pg_lsn
    )::int8 AS wal_position,
    current_setting('max_connections')::int8 AS connections_max,
    current_setting('superuser_reserved_connections')::int8
        + coalesce(current_setting('reserved_connections', true)::int8, 0) AS connections_reserved,
    current_setting('autovacuum_freeze_max_age')::int8 AS freeze_age_max,
    current_setting('autovacuum_multixact_freeze_max_age')::int8 AS multixact_freeze_age_max,
    current_setting('autovacuum_max_workers')::int8 AS autovacuum_workers_max,
    current_setting('autovacuum')::bool AND current_setting('track_counts')::bool AS has_autovacuum,
    current_setting('data_checksums')::bool AS has_checksums,
    pg_size_bytes(current_setting('max_wal_size'))::int8 AS wal_size_max,
    pg_size_bytes(current_setting('max_slot_wal_keep_size'))::int8 AS slot_wal_max,
    CASE
        WHEN pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') THEN current_setting('data_directory')
    END AS data_directory,
    coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', true) AS is_on_loopback,
    statements.schema AS statements_schema,
    statements.version AS statements_version,
    CASE
        WHEN pg_has_role(current_user, 'pg_read_all_settings', 'USAGE')
            THEN current_setting('shared_preload_libraries')
    END AS preload_libraries
FROM (SELECT pg_is_in_recovery() AS is_on) recovery
LEFT JOIN (
    SELECT quote_ident(n.nspname) AS schema, e.extversion AS version
    FROM pg_extension e
    JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements'
) statements ON true
