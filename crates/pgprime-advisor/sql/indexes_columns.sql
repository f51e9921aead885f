SELECT /* pgprime: columns of relations $1 and what is known of their values */
    a.attrelid AS oid,
    a.attname::text AS name,
    quote_ident(a.attname) AS quoted,
    b.oid AS type_oid,
    b.typname::text AS type,
    b.typcategory::text AS category,
    b.typlen::int4 AS length,
    coalesce(l.collname IN ('C', 'POSIX'), false) AS collation_is_c,
    coalesce(l.collname = 'default', false) AS collation_is_default,
    s.null_frac::float8 AS null_share,
    s.avg_width::int4 AS width,
    s.n_distinct::float8 AS distinct_values,
    s.correlation::float8 AS correlation,
    s.most_common_vals::text::text[] AS common_values,
    s.most_common_freqs::float8[] AS common_shares,
    s.histogram_bounds::text::text[] AS bounds,
    EXISTS (
        SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
        WHERE m.amname = 'btree' AND o.opcdefault
            AND (o.opcintype = b.oid OR b.typcategory = 'A' OR b.typcategory = 'E' OR b.typname IN ('varchar', 'cidr'))
    ) AS is_sortable
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
    AND s.inherited = (c.relkind = 'p')
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
