SELECT /* pgprime: columns of tables $1 and what is known of their widths; values are not read */
    a.attrelid AS relation_oid,
    a.attname::text AS name,
    a.attlen AS length,
    a.attalign::text AS alignment,
    a.attisdropped AS is_dropped,
    a.attisdropped OR has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS is_readable,
    s.null_frac::float8 AS null_share,
    s.avg_width AS width_bytes
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stats s
    ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname AND NOT s.inherited
WHERE a.attrelid = ANY ($1)
    AND a.attnum > 0
    -- A column that is calculated when it is read is not stored.
    AND a.attgenerated <> 'v'
ORDER BY a.attrelid, a.attnum
