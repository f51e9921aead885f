-- What is in the schema for building, newest first: those that read others before those.
SELECT c.oid, c.relkind::text AS kind, n.nspname AS schema, c.relname AS name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'pgprime_build' AND c.relkind IN ('m', 'v')
ORDER BY c.oid DESC
