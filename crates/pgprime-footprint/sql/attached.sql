-- Functions that people made and that run when rows are written (defaults, checks, domains of columns) or looked at
-- (row security), called directly or behind operators.
WITH /* pgprime */ RECURSIVE domains(type, checked) AS (
    SELECT oid, oid FROM pg_type WHERE typtype = 'd'
    UNION
    SELECT d.type, t.typbasetype FROM domains d JOIN pg_type t ON t.oid = d.checked AND t.typtype = 'd'
), parts(class, object, relation, is_for_reads) AS (
    SELECT 'pg_attrdef'::regclass, oid, adrelid, false FROM pg_attrdef
    UNION ALL
    SELECT 'pg_constraint'::regclass, oid, conrelid, false FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, a.attrelid, false
    FROM pg_constraint k
    JOIN domains d ON d.checked = k.contypid
    JOIN pg_type t ON t.oid = d.type
    JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND a.attnum > 0 AND NOT a.attisdropped
    WHERE k.contypid <> 0
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, a.attrelid, false
    FROM pg_type t
    JOIN pg_attribute a ON a.atttypid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE t.typtype = 'd' AND t.typdefaultbin IS NOT NULL
    UNION ALL
    SELECT 'pg_policy'::regclass, oid, polrelid, true FROM pg_policy
), deep(class, object, relation, is_for_reads) AS (
    SELECT class, object, relation, is_for_reads FROM parts
    UNION
    -- Policies may read views.
    SELECT 'pg_rewrite'::regclass, w.oid, p.relation, true
    FROM deep p
    JOIN pg_depend d ON d.classid = p.class AND d.objid = p.object AND d.refclassid = 'pg_class'::regclass
    JOIN pg_rewrite w ON w.ev_class = d.refobjid AND w.ev_type = '1'
    WHERE p.class IN ('pg_policy'::regclass, 'pg_rewrite'::regclass)
), functions AS (
    SELECT p.relation, p.is_for_reads, d.refobjid AS function
    FROM deep p
    JOIN pg_depend d ON d.classid = p.class AND d.objid = p.object AND d.refclassid = 'pg_proc'::regclass
    UNION
    SELECT p.relation, p.is_for_reads, o.oprcode::oid
    FROM deep p
    JOIN pg_depend d ON d.classid = p.class AND d.objid = p.object AND d.refclassid = 'pg_operator'::regclass
    JOIN pg_operator o ON o.oid = d.refobjid
)
SELECT relation, is_for_reads, function FROM functions ORDER BY 1, 2, 3
