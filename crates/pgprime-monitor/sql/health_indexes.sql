SELECT /* pgprime: indexes that were never read and enforce nothing, and those that are not valid */
    i.oid,
    quote_ident(n.nspname) || '.' || quote_ident(i.relname) AS name,
    quote_ident(tn.nspname) || '.' || quote_ident(t.relname) AS on_table,
    i.bytes,
    i.is_valid,
    i.is_built,
    i.is_ready,
    i.keys,
    i.predicate,
    i.nulls_not_distinct,
    (sum(i.bytes) FILTER (WHERE i.is_valid) OVER ())::int8 AS unused_bytes,
    (count(*) FILTER (WHERE i.is_valid) OVER ())::int8 AS unused
FROM (
    SELECT c.oid, c.relname, c.relnamespace, x.indrelid,
        c.relpages::int8 * current_setting('block_size')::int8 AS bytes,
        x.indisvalid AS is_valid,
        x.indisready AS is_ready,
        -- What a unique index that is not valid would have to be unique in.
        CASE WHEN x.indisunique AND NOT x.indisvalid THEN ARRAY(
            SELECT pg_get_indexdef(c.oid, key, false) FROM generate_series(1, x.indnkeyatts) key ORDER BY key
        ) END AS keys,
        CASE WHEN x.indisunique AND NOT x.indisvalid THEN pg_get_expr(x.indpred, x.indrelid) END AS predicate,
        coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::bool, false) AS nulls_not_distinct,
        NOT x.indisvalid AND EXISTS (
            SELECT FROM pg_stat_progress_create_index p
            WHERE p.datname = current_database() AND coalesce(p.relid = x.indrelid, true)
        ) AS is_built
    FROM pg_index x
    JOIN pg_class c ON c.oid = x.indexrelid
    WHERE c.oid >= 16384 AND c.relkind = 'i' AND c.relpersistence <> 't'
        AND (
            NOT x.indisvalid
            OR c.relpages >= 128 AND NOT x.indisunique AND NOT x.indisexclusion AND NOT x.indisreplident
                AND pg_stat_get_numscans(c.oid) = 0
        )
) i
JOIN pg_namespace n ON n.oid = i.relnamespace
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace tn ON tn.oid = t.relnamespace
ORDER BY i.is_valid, i.bytes DESC, i.oid
LIMIT 100
