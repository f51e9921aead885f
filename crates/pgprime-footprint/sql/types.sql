-- Functions that run when a value becomes one of a type: casts, and checks of domains.
WITH /* pgprime */ RECURSIVE domains(type, checked) AS (
    SELECT oid, oid FROM pg_type WHERE typtype = 'd'
    UNION
    SELECT d.type, t.typbasetype FROM domains d JOIN pg_type t ON t.oid = d.checked AND t.typtype = 'd'
), functions AS (
    SELECT c.casttarget AS type, c.castfunc::oid AS function, c.castcontext <> 'e' AS is_implicit
    FROM pg_cast c
    WHERE c.castfunc >= 16384
    UNION
    SELECT d.type, c.castfunc::oid, false
    FROM domains d
    JOIN pg_cast c ON c.casttarget = d.checked AND c.castfunc >= 16384
    UNION
    SELECT d.type, e.refobjid, false
    FROM domains d
    JOIN pg_constraint k ON k.contypid = d.checked
    JOIN pg_depend e ON e.classid = 'pg_constraint'::regclass AND e.objid = k.oid AND e.refclassid = 'pg_proc'::regclass
    WHERE k.contypid <> 0
)
SELECT t.typname::text AS name, f.function, f.is_implicit
FROM functions f
JOIN pg_type t ON t.oid = f.type
ORDER BY 1, 2
