SELECT /* pgprime: columns of indexes $1 and what is known of their widths; values are not read */
    a.attrelid AS relation_oid,
    a.attname::text AS name,
    a.attlen AS length,
    a.attalign::text AS alignment,
    false AS is_dropped,
    CASE WHEN k.number > 0 THEN has_column_privilege(i.indrelid, k.number, 'SELECT')
        ELSE has_table_privilege(i.indrelid, 'SELECT') END AS is_readable,
    s.null_frac::float8 AS null_share,
    s.avg_width AS width_bytes,
    s.n_distinct::float8 AS distinct_values
FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum > 0
CROSS JOIN LATERAL (SELECT i.indkey[a.attnum - 1] AS number) k
-- Statistics of a column are the table's, those of an expression the index's own.
JOIN pg_class c ON c.oid = CASE WHEN k.number > 0 THEN i.indrelid ELSE i.indexrelid END
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute t ON t.attrelid = i.indrelid AND t.attnum = k.number AND k.number > 0
LEFT JOIN pg_stats s
    ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = coalesce(t.attname, a.attname)
        AND NOT s.inherited
WHERE i.indexrelid = ANY ($1)
ORDER BY a.attrelid, a.attnum
