-- Relations of $1 that still read one of $2.
SELECT DISTINCT pg_catalog.format('%I', c.relname) AS name
FROM pg_depend d
JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass::oid AND w.oid = d.objid
JOIN pg_class c ON c.oid = w.ev_class
WHERE w.ev_class = ANY ($1) AND d.refclassid = 'pg_class'::regclass::oid AND d.refobjid = ANY ($2)
