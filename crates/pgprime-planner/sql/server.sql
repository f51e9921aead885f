SELECT /* pgprime: what server this is, and who asks */
    current_setting('server_version') AS version,
    current_database()::text AS database,
    current_user::text AS role,
    quote_ident(current_user) AS role_quoted,
    pg_is_in_recovery() AS in_recovery,
    extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 AS uptime_seconds,
    pg_has_role('pg_read_all_stats', 'USAGE') AS sees_statistics,
    pg_has_role('pg_read_all_settings', 'USAGE') AS sees_settings
