-- Which of the views in $1 read which others of them, through plain views.
WITH RECURSIVE reads(root, oid) AS (
    SELECT root, root FROM pg_catalog.unnest($1) AS root
    UNION
    SELECT r.root, d.refobjid
    FROM reads r
    JOIN pg_class c ON c.oid = r.oid AND c.relkind IN ('v', 'm')
    JOIN pg_rewrite w ON w.ev_class = r.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass::oid AND d.objid = w.oid
                    AND d.refclassid = 'pg_class'::regclass::oid AND d.refobjid <> r.oid
)
SELECT root, oid AS base FROM reads WHERE oid = ANY ($1) AND oid <> root
