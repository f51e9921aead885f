SELECT /* pgprime: what server this is, who asks, and what extensions measure or repair bloat */
    current_setting('server_version') AS version,
    current_database()::text AS database,
    current_user::text AS role,
    quote_ident(current_user) AS role_quoted,
    pg_is_in_recovery() AS in_recovery,
    current_setting('block_size')::int8 AS block_bytes,
    (
        SELECT quote_ident(n.nspname)
        FROM pg_extension e
        JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'pgstattuple'
    ) AS pgstattuple_schema,
    (
        SELECT has_schema_privilege(n.oid, 'USAGE') AND bool_and(has_function_privilege(p.oid, 'EXECUTE'))
        FROM pg_extension e
        JOIN pg_namespace n ON n.oid = e.extnamespace
        JOIN pg_proc p ON p.pronamespace = n.oid
        WHERE e.extname = 'pgstattuple'
            AND p.proname IN ('pgstattuple_approx', 'pgstatindex')
            AND p.proargtypes[0] = 'regclass'::regtype
        GROUP BY n.oid
    ) AS may_measure,
    EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgstattuple') AS has_pgstattuple,
    EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_repack') AS has_pg_repack,
    (SELECT count(*) FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup')::int8 AS replicas
