-- Names of operators: PostgreSQL's own without a function, others with it.
SELECT /* pgprime */ DISTINCT n.nspname::text AS schema, o.oprname::text AS name, CASE WHEN n.nspname <> 'pg_catalog' THEN o.oprcode::oid END AS function
FROM pg_operator o
JOIN pg_namespace n ON n.oid = o.oprnamespace
