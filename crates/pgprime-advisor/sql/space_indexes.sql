SELECT /* pgprime: indexes of tables $2, and their sizes; $1 are locked */
    c.oid AS oid,
    i.indrelid AS table_oid,
    c.relname::text AS name,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified,
    a.amname::text AS method,
    i.indisvalid AS is_valid,
    i.indisexclusion AS is_exclusion,
    i.indpred IS NOT NULL AS is_partial,
    c.reltuples::float8 AS reltuples,
    c.relpages::int8 AS relpages,
    CASE WHEN c.oid <> ALL ($1) THEN pg_relation_size(c.oid) END AS bytes,
    coalesce(c.reloptions, '{}') AS options,
    a.amname = 'btree' AND i.indnatts = i.indnkeyatts AND NOT EXISTS (
        -- Equal values of these types may look different, so that they are never stored once.
        SELECT
        FROM pg_attribute k
        LEFT JOIN pg_collation o ON o.oid = k.attcollation
        WHERE k.attrelid = c.oid
            AND (
                k.atttypid IN ('numeric'::regtype, 'float4'::regtype, 'float8'::regtype, 'jsonb'::regtype)
                OR (SELECT y.typtype IN ('c', 'r', 'm') OR y.typcategory = 'A' FROM pg_type y WHERE y.oid = k.atttypid)
                OR NOT o.collisdeterministic
            )
    ) AS may_share_keys
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_am a ON a.oid = c.relam
WHERE i.indrelid = ANY ($2) AND c.relkind = 'i'
ORDER BY c.relpages DESC, c.oid
