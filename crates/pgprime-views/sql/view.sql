-- A materialized view; $1 schema, $2 name, or all of them where both are null. Without its definition: deparsing that
-- would wait for whoever locks the tables below.
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.relispopulated AS is_populated,
       pg_get_userbyid(c.relowner) AS owner, pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       pg_has_role(c.relowner, 'USAGE') AS is_ours,
       pg_catalog.pg_total_relation_size(c.oid) AS bytes
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (n.nspname = $1 AND c.relname = $2)
   OR ($1 IS NULL AND c.relkind = 'm' AND n.nspname NOT IN ('pgprime', 'pgprime_build')
       AND n.nspname::text NOT LIKE 'pg\_toast%' AND n.nspname::text NOT LIKE 'pg\_temp%')
ORDER BY n.nspname, c.relname
