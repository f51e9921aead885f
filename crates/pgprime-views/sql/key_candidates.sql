-- Columns of a view, $1, that had no value twice when it was analyzed.
SELECT s.attname::text AS name
FROM pg_stats s
JOIN pg_class c ON c.oid = $1
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.n_distinct = '-1'::real AND s.null_frac = '0'::real
ORDER BY s.attname
LIMIT 3
