-- Triggers that people made, with the functions of their conditions. What PostgreSQL makes for foreign keys is seen from these,
-- and its copies for partitions from the root's.
SELECT /* pgprime */ t.tgrelid AS relation, t.tgtype::int4 AS type, t.tgfoid AS function, t.tgname::text AS name,
       ARRAY(SELECT d.refobjid FROM pg_depend d
             WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.refclassid = 'pg_proc'::regclass
               AND d.refobjid <> t.tgfoid
             UNION
             SELECT o.oprcode::oid FROM pg_depend d JOIN pg_operator o ON o.oid = d.refobjid
             WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid
               AND d.refclassid = 'pg_operator'::regclass)::oid[] AS conditions
FROM pg_trigger t
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
ORDER BY t.tgrelid, t.tgname
