WITH RECURSIVE named AS (
    SELECT c.oid
    FROM pg_catalog.pg_class c
    WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
), up AS (
    SELECT oid FROM named
    UNION
    SELECT i.inhparent FROM up JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.oid
), family AS (
    SELECT oid FROM up
    UNION
    SELECT i.inhrelid FROM family JOIN pg_catalog.pg_inherits i ON i.inhparent = family.oid
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM family
JOIN pg_catalog.pg_class c ON c.oid = family.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
ORDER BY c.relkind DESC, c.oid
