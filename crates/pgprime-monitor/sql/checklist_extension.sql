SELECT /* pgprime: whether pg_stat_statements is created here, and how many materialized views there are */
    EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements') AS has_statements,
    (
        SELECT count(*)
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'm' AND n.nspname NOT LIKE 'pg\_%'
    )::int8 AS materialized
