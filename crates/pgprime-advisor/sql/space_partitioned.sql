SELECT /* pgprime: partitioned tables, which autovacuum does not analyze */
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified,
    c.reltuples::float8 AS reltuples
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'p' AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1
