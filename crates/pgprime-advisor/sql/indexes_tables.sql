SELECT /* pgprime: tables $1 with their partitions, sizes and writes */
    t.oid,
    sum(greatest(c.reltuples, 0))::float8 AS rows,
    sum(greatest(c.relpages, 0))::float8 AS pages,
    sum(greatest(c.relallvisible, 0))::float8 AS visible_pages,
    sum(pg_stat_get_tuples_inserted(c.oid))::float8 AS inserted,
    sum(pg_stat_get_tuples_updated(c.oid) - pg_stat_get_tuples_hot_updated(c.oid))::float8 AS updated,
    sum(pg_stat_get_tuples_hot_updated(c.oid))::float8 AS hot_updated,
    max(parts.level)::int4 AS partition_levels,
    count(*) FILTER (
        WHERE c.reltuples < 0
            -- Version 13 has 0 rows in 0 pages instead, of which some were counted.
            OR c.reltuples = 0 AND c.relpages = 0 AND pg_stat_get_live_tuples(c.oid) > 0
                AND current_setting('server_version_num')::int4 < 140000
    ) AS never_analyzed,
    array_agg(quote_ident(n.nspname) || '.' || quote_ident(c.relname) ORDER BY n.nspname, c.relname)
        FILTER (WHERE t.relkind = 'p') AS partitions
FROM pg_class t
CROSS JOIN LATERAL (
    SELECT t.oid AS leaf, 0 AS level WHERE t.relkind <> 'p'
    UNION ALL SELECT p.relid, p.level FROM pg_partition_tree(t.oid) p WHERE t.relkind = 'p' AND p.isleaf
) AS parts
JOIN pg_class c ON c.oid = parts.leaf
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.oid = ANY ($1)
GROUP BY t.oid
