-- The tables below a view, $1, through plain views and down to partitions, and what the statistics say of them.
-- A materialized view below is one of them: what it reads shows only once it is refreshed.
WITH RECURSIVE reads(oid) AS (
    SELECT $1
    UNION
    SELECT d.refobjid
    FROM reads r
    JOIN pg_class c ON c.oid = r.oid AND (c.relkind = 'v' OR c.oid = $1)
    JOIN pg_rewrite w ON w.ev_class = r.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass::oid AND d.objid = w.oid
                    AND d.refclassid = 'pg_class'::regclass::oid AND d.refobjid <> r.oid
), tables(oid) AS (
    SELECT oid FROM reads WHERE oid <> $1
    UNION
    SELECT i.inhrelid FROM tables t JOIN pg_inherits i ON i.inhparent = t.oid
)
SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relkind::text AS kind,
       coalesce(pg_catalog.pg_relation_filenode(c.oid), 0)::oid AS file,
       pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
           + pg_stat_get_tuples_deleted(c.oid) AS changes
FROM tables t
JOIN pg_class c ON c.oid = t.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'f', 'S')
ORDER BY c.oid
