-- Views that read a relation, $1, directly or through others, those first that the others read.
WITH RECURSIVE reads(oid, depth) AS (
    SELECT $1, 0
    UNION
    SELECT w.ev_class, r.depth + 1
    FROM reads r
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass::oid AND d.refobjid = r.oid
                    AND d.classid = 'pg_rewrite'::regclass::oid
    JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_class <> r.oid
    WHERE r.depth < 100
)
SELECT c.oid, c.relkind::text AS kind, n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner,
       CASE WHEN c.relkind IN ('v', 'm') THEN rtrim(pg_get_viewdef(c.oid), '; ') END AS definition,
       (SELECT string_agg(o.start || pg_catalog.format('%I=%L', split_part(o.set, '=', 1), substr(o.set, strpos(o.set, '=') + 1)), ', '
                          ORDER BY o.start, o.place)
        FROM (SELECT '' AS start, own.set, own.place FROM pg_catalog.unnest(c.reloptions) WITH ORDINALITY AS own (set, place)
              UNION ALL
              SELECT 'toast.', far.set, far.place
              FROM pg_class t, pg_catalog.unnest(t.reloptions) WITH ORDINALITY AS far (set, place)
              WHERE t.oid = c.reltoastrelid) AS o) AS options,
       (SELECT m.amname FROM pg_am m
        WHERE m.oid = c.relam AND m.amname <> current_setting('default_table_access_method')) AS method,
       (SELECT t.spcname FROM pg_tablespace t WHERE t.oid = c.reltablespace) AS tablespace,
       c.relpersistence = 't' AS is_temporary, c.relispopulated AS is_populated, pg_has_role(c.relowner, 'USAGE') AS is_ours,
       EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid)
           OR EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN')
           OR EXISTS (SELECT FROM pg_attrdef a WHERE a.adrelid = c.oid)
           OR EXISTS (SELECT FROM pg_statistic_ext e WHERE e.stxrelid = c.oid) AS has_more
FROM (SELECT oid, max(depth) AS depth FROM reads GROUP BY oid) AS found
JOIN pg_class c ON c.oid = found.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY found.depth, c.oid
