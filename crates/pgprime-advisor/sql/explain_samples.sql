-- Values of a column as pg_stats knows them. $1: relations that the column may be one of, best first; $2: its name.
SELECT /* pgprime */
    format('%I.%I', namespace.nspname, relation.relname) AS relation,
    stats.attname IS NOT NULL AS has_stats,
    stats.most_common_vals::text::text[] AS common,
    stats.histogram_bounds::text::text[] AS bounds
FROM unnest($1::oid[]) WITH ORDINALITY AS listed (oid, position)
JOIN pg_catalog.pg_class AS relation ON relation.oid = listed.oid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
JOIN pg_catalog.pg_attribute AS attribute
    ON attribute.attrelid = relation.oid AND attribute.attname = $2::text::name AND attribute.attnum > 0
LEFT JOIN LATERAL (
    SELECT stats.* FROM pg_catalog.pg_stats AS stats
    WHERE stats.schemaname = namespace.nspname AND stats.tablename = relation.relname
        AND stats.attname = attribute.attname
    ORDER BY stats.inherited DESC
    LIMIT 1
) AS stats ON true
ORDER BY listed.position
LIMIT 1
