SELECT /* pgprime: the server, and what helps with advice */
    current_setting('server_version_num')::int4 AS version_number,
    current_setting('server_version') AS version,
    current_database()::text AS database,
    current_user::text AS role,
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'hypopg' AND has_schema_privilege(n.oid, 'USAGE')) AS hypopg_schema,
    EXISTS (SELECT FROM pg_available_extensions WHERE name = 'hypopg') AS hypopg_is_available,
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_trgm') AS trigram_schema,
    -- The provider exists since version 15: libc's names are not what ICU sorts by, and the built-in one (since 17) sorts
    -- by code point whatever its locale.
    (
        SELECT CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
            WHEN 'c' THEN d.datcollate IN ('C', 'POSIX') ELSE to_jsonb(d) ->> 'datlocprovider' = 'b' END
        FROM pg_database d
        WHERE d.datname = current_database()
    ) AS collation_is_c,
    current_setting('block_size')::int4 AS block_bytes,
    current_setting('seq_page_cost')::float8 AS seq_page_cost,
    current_setting('random_page_cost')::float8 AS random_page_cost,
    current_setting('cpu_tuple_cost')::float8 AS cpu_tuple_cost,
    current_setting('cpu_index_tuple_cost')::float8 AS cpu_index_tuple_cost,
    current_setting('cpu_operator_cost')::float8 AS cpu_operator_cost,
    extract(epoch FROM now() - coalesce(
        (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
        pg_postmaster_start_time()
    ))::float8 AS statistics_seconds
