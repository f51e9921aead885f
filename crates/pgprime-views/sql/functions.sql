-- What in a view, $1, and the plain views below makes its result change without a table changing, or lets it read what
-- cannot be seen from here: the clock, chance, and functions that may read tables of their own.
WITH RECURSIVE reads(oid) AS (
    SELECT $1
    UNION
    SELECT d.refobjid
    FROM reads r
    JOIN pg_class c ON c.oid = r.oid AND (c.relkind = 'v' OR c.oid = $1)
    JOIN pg_rewrite w ON w.ev_class = r.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass::oid AND d.objid = w.oid
                    AND d.refclassid = 'pg_class'::regclass::oid AND d.refobjid <> r.oid
), trees AS (
    SELECT w.ev_action::text AS tree
    FROM reads r
    JOIN pg_class c ON c.oid = r.oid AND (c.relkind = 'v' OR c.oid = $1)
    JOIN pg_rewrite w ON w.ev_class = r.oid
), called AS (
    SELECT DISTINCT found[1]::oid AS oid
    FROM trees, pg_catalog.regexp_matches(tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS found
)
SELECT p.proname::text AS name,
       CASE WHEN n.nspname <> 'pg_catalog' AND p.provolatile <> 'i' THEN 'function'
            WHEN p.provolatile = 'v' THEN 'volatile'
            ELSE 'clock' END AS kind
FROM called
JOIN pg_proc p ON p.oid = called.oid
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.provolatile = 'v'
   OR (n.nspname <> 'pg_catalog' AND p.provolatile <> 'i')
   OR p.proname IN ('now', 'transaction_timestamp', 'statement_timestamp')
   OR (p.proname = 'age' AND p.pronargs = 1)
UNION
-- CURRENT_DATE and its like, up to LOCALTIMESTAMP with a precision.
SELECT 'current_date or current_timestamp', 'clock'
FROM trees
WHERE tree ~ 'SQLVALUEFUNCTION :op [0-8] '
ORDER BY 1
