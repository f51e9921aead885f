SELECT /* pgprime: tables with many rows or many dead rows: how they are read, and what of them is dead */
    quote_ident(n.nspname) || '.' || quote_ident(t.relname) AS name,
    t.oid,
    t.live,
    t.dead,
    pg_stat_get_numscans(t.oid)::int8 AS scans,
    pg_stat_get_tuples_returned(t.oid)::int8 AS rows_scanned,
    t.relpages::int8 * current_setting('block_size')::int8 AS bytes,
    extract(epoch FROM clock_timestamp() - greatest(
        pg_stat_get_last_vacuum_time(t.oid), pg_stat_get_last_autovacuum_time(t.oid)
    ))::float8 AS vacuumed_s_ago,
    coalesce(array_to_string(t.reloptions, ' ') ~ 'autovacuum_enabled=(off|false|no|0)', false) AS is_vacuum_off
FROM (
    SELECT c.oid, c.relname, c.relnamespace, c.relpages, c.reloptions,
        pg_stat_get_live_tuples(c.oid)::int8 AS live,
        pg_stat_get_dead_tuples(c.oid)::int8 AS dead
    FROM pg_class c
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.oid >= 16384
) t
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE t.live >= 100000 OR t.dead >= 10000
ORDER BY t.live + t.dead DESC, t.oid
LIMIT 300
