-- What depends on relations, $1, or their row types, and is no view among them: functions, policies and the like.
SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) AS object
FROM pg_catalog.unnest($1) AS relation
JOIN pg_class c ON c.oid = relation
LEFT JOIN pg_type t ON t.oid = c.reltype
JOIN pg_depend d ON (d.refclassid = 'pg_class'::regclass::oid AND d.refobjid = c.oid)
                 OR (d.refclassid = 'pg_type'::regclass::oid AND d.refobjid IN (t.oid, t.typarray))
WHERE d.deptype = 'n'
  AND NOT (d.classid = 'pg_rewrite'::regclass::oid
           AND (SELECT w.ev_class FROM pg_rewrite w WHERE w.oid = d.objid) = ANY ($1))
  AND NOT (d.classid = 'pg_type'::regclass::oid AND d.objid IN (t.oid, t.typarray))
ORDER BY 1
LIMIT 20
