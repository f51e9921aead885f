-- What is not known to be harmless among what names may stand for.
-- $1: functions, $2: operators, $3: names behind a dot, $4: schemas that are searched or named, $5: types that are cast to,
-- $6: harmless functions.
-- Operators and casts of an extension are what its author chose, and only superusers bring in functions in C.
WITH trusted_function AS (
    SELECT function.oid
    FROM pg_catalog.pg_proc AS function
    JOIN pg_catalog.pg_language AS language ON language.oid = function.prolang
    WHERE language.lanname IN ('c', 'internal') AND function.provolatile <> 'v'
)
SELECT /* pgprime */ 'function' AS kind, format('%I.%I', namespace.nspname, function.proname) AS object
FROM pg_catalog.pg_proc AS function
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = function.pronamespace
WHERE function.proname = ANY ($1::text[]::name[])
    AND namespace.nspname = ANY ($4::text[]::name[])
    AND (function.oid >= 16384 OR namespace.nspname <> 'pg_catalog')
UNION ALL
SELECT 'attribute', format('%I.%I', namespace.nspname, function.proname)
FROM pg_catalog.pg_proc AS function
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = function.pronamespace
JOIN pg_catalog.pg_type AS argument ON argument.oid = function.proargtypes[0]
WHERE function.proname = ANY ($3::text[]::name[])
    AND namespace.nspname = ANY ($4::text[]::name[])
    AND function.pronargs >= 1 AND function.pronargs - function.pronargdefaults <= 1
    AND argument.typtype IN ('c', 'd', 'p')
    AND NOT (
        function.oid < 16384
        AND (function.proname = ANY ($6::text[]::name[]) OR function.provolatile <> 'v')
    )
UNION ALL
SELECT 'operator', format('%I.%s', namespace.nspname, operator.oprname)
FROM pg_catalog.pg_operator AS operator
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = operator.oprnamespace
WHERE operator.oid >= 16384
    AND operator.oprname = ANY ($2::text[]::name[])
    AND namespace.nspname = ANY ($4::text[]::name[])
    AND NOT (
        operator.oprcode IN (SELECT oid FROM trusted_function)
        AND EXISTS (
            SELECT FROM pg_catalog.pg_depend AS member
            WHERE member.classid = 'pg_catalog.pg_operator'::regclass
                AND member.objid = operator.oid AND member.deptype = 'e'
        )
    )
UNION ALL
SELECT 'cast', format('(%s AS %s)', format_type(conversion.castsource, NULL), format_type(conversion.casttarget, NULL))
FROM pg_catalog.pg_cast AS conversion
WHERE conversion.oid >= 16384
    AND conversion.castfunc <> 0
    AND (
        conversion.castcontext = 'i'
        OR conversion.casttarget = ANY ($5::oid[])
        -- to_json() and its like look for these.
        OR conversion.casttarget IN ('pg_catalog.json'::regtype, 'pg_catalog.jsonb'::regtype)
    )
    AND NOT (
        conversion.castfunc IN (SELECT oid FROM trusted_function)
        AND EXISTS (
            SELECT FROM pg_catalog.pg_depend AS member
            WHERE member.classid = 'pg_catalog.pg_cast'::regclass
                AND member.objid = conversion.oid AND member.deptype = 'e'
        )
    )
