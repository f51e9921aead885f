SELECT /* pgprime: partitioned tables that were never analyzed, as autovacuum does not */
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'p' AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND CASE
        -- Version 13 counts no rows of the whole: there it shows in statistics, to those who may read the table, if any
        -- partition has rows.
        WHEN current_setting('server_version_num')::int4 < 140000 THEN
            has_table_privilege(c.oid, 'SELECT')
            AND NOT EXISTS (
                SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.inherited
            )
            AND EXISTS (
                SELECT FROM pg_partition_tree(c.oid) p WHERE p.isleaf AND pg_stat_get_live_tuples(p.relid) > 0
            )
        ELSE c.reltuples < 0
    END
ORDER BY 1
