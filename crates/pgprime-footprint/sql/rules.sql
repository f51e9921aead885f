-- Rules that rewrite changes; those that make views are their definitions.
SELECT /* pgprime */ w.ev_class AS relation, w.ev_type::text AS event, w.is_instead AND w.ev_qual::text = '<>' AS replaces,
       r.definition IS NOT NULL AND octet_length(r.definition) <= 1048576 AS fits,
       CASE WHEN octet_length(r.definition) <= 1048576 THEN r.definition END AS definition
FROM pg_rewrite w
JOIN pg_class c ON c.oid = w.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace,
LATERAL (SELECT pg_get_ruledef(w.oid) AS definition) r
WHERE w.ev_type <> '1' AND w.ev_enabled <> 'D' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY w.ev_class, w.rulename
