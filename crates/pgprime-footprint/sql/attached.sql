-- Functions that people made and that run when rows are written (defaults, checks, domains of columns) or looked at
-- (row security), called directly or behind operators.
WITH /* pgprime */ parts(class, object, relation, is_for_reads) AS (
    SELECT 'pg_attrdef'::regclass, oid, adrelid, false FROM pg_attrdef
    UNION ALL
    SELECT 'pg_constraint'::regclass, oid, conrelid, false FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, a.attrelid, false
    FROM pg_constraint k
    JOIN pg_type t ON t.oid = k.contypid
    JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND a.attnum > 0 AND NOT a.attisdropped
    WHERE k.contypid <> 0
    UNION ALL
    SELECT 'pg_policy'::regclass, oid, polrelid, true FROM pg_policy
), functions AS (
    SELECT p.relation, p.is_for_reads, d.refobjid AS function
    FROM parts p
    JOIN pg_depend d ON d.classid = p.class AND d.objid = p.object AND d.refclassid = 'pg_proc'::regclass
    UNION
    SELECT p.relation, p.is_for_reads, o.oprcode::oid
    FROM parts p
    JOIN pg_depend d ON d.classid = p.class AND d.objid = p.object AND d.refclassid = 'pg_operator'::regclass
    JOIN pg_operator o ON o.oid = d.refobjid
)
SELECT relation, is_for_reads, function FROM functions ORDER BY 1, 2, 3
