SELECT /* pgprime: tables, their sizes and what the server counts of them; $1 are locked, $2 how many */
    c.oid AS oid,
    n.nspname::text AS schema,
    c.relname::text AS name,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified,
    c.relkind::text AS kind,
    c.relpersistence::text AS persistence,
    coalesce(a.amname = 'heap', false) AS is_heap,
    CASE WHEN c.relispartition THEN (
        SELECT quote_ident(rn.nspname) || '.' || quote_ident(r.relname)
        FROM pg_class r
        JOIN pg_namespace rn ON rn.oid = r.relnamespace
        WHERE r.oid = pg_partition_root(c.oid)
    ) END AS partition_root,
    -- Version 13 says 0 where later ones say -1: of a table that was never looked at.
    CASE WHEN c.reltuples = 0 AND c.relpages = 0 AND current_setting('server_version_num')::int4 < 140000 THEN -1
        ELSE c.reltuples END::float8 AS reltuples,
    c.relpages::int8 AS relpages,
    CASE WHEN c.oid <> ALL ($1) THEN pg_relation_size(c.oid) END AS heap_bytes,
    t.oid AS toast_oid,
    CASE WHEN c.oid <> ALL ($1) AND t.oid <> ALL ($1) THEN pg_relation_size(t.oid) END AS toast_bytes,
    t.relpages::int8 AS toast_pages,
    t.reltuples::float8 AS toast_reltuples,
    pg_stat_get_live_tuples(t.oid) AS toast_live_tuples,
    coalesce(pg_stat_get_last_vacuum_time(t.oid), pg_stat_get_last_autovacuum_time(t.oid)) IS NOT NULL
        AS toast_is_counted,
    coalesce(c.reloptions, '{}') AS options,
    row_security_active(c.oid) AS hides_rows,
    pg_stat_get_live_tuples(c.oid) AS live_tuples,
    pg_stat_get_dead_tuples(c.oid) AS dead_tuples,
    pg_stat_get_mod_since_analyze(c.oid) AS changes_since_analyze,
    pg_stat_get_ins_since_vacuum(c.oid) AS inserts_since_vacuum,
    extract(epoch FROM now() - pg_stat_get_last_vacuum_time(c.oid))::float8 AS last_vacuum,
    extract(epoch FROM now() - pg_stat_get_last_autovacuum_time(c.oid))::float8 AS last_autovacuum,
    extract(epoch FROM now() - pg_stat_get_last_analyze_time(c.oid))::float8 AS last_analyze,
    extract(epoch FROM now() - pg_stat_get_last_autoanalyze_time(c.oid))::float8 AS last_autoanalyze,
    CASE WHEN c.relfrozenxid <> '0' THEN greatest(age(c.relfrozenxid), age(nullif(t.relfrozenxid, '0'))) END::int8
        AS transaction_age,
    CASE WHEN c.relminmxid <> '0' THEN greatest(mxid_age(c.relminmxid), mxid_age(nullif(t.relminmxid, '0'))) END::int8
        AS multixact_age
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_am a ON a.oid = c.relam
LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
WHERE c.relkind IN ('r', 'm')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
ORDER BY c.relpages + coalesce(t.relpages, 0) DESC, c.oid
LIMIT $2
