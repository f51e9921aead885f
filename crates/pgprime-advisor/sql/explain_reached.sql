-- What is not known to be harmless among what stored expressions call. $1: functions, $2: operators,
-- $3: harmless functions. Functions behind casts, operators and index methods that came with the server are.
SELECT /* pgprime */ 'function' AS kind, format('%I.%I', namespace.nspname, function.proname) AS object
FROM pg_catalog.pg_proc AS function
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = function.pronamespace
WHERE function.oid = ANY ($1::oid[])
    AND NOT (
        function.oid < 16384
        AND (
            function.proname = ANY ($3::text[]::name[])
            OR EXISTS (SELECT FROM pg_catalog.pg_cast AS conversion WHERE conversion.castfunc = function.oid)
            OR function.provolatile <> 'v' AND (
                EXISTS (
                    SELECT FROM pg_catalog.pg_operator AS operator
                    WHERE operator.oprcode = function.oid AND operator.oid < 16384
                )
                OR EXISTS (SELECT FROM pg_catalog.pg_amproc AS support WHERE support.amproc = function.oid)
            )
        )
    )
UNION ALL
SELECT 'operator', format('%I.%s', namespace.nspname, operator.oprname)
FROM pg_catalog.pg_operator AS operator
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = operator.oprnamespace
JOIN pg_catalog.pg_proc AS function ON function.oid = operator.oprcode
JOIN pg_catalog.pg_language AS language ON language.oid = function.prolang
WHERE operator.oid = ANY ($2::oid[])
    AND operator.oid >= 16384
    AND NOT (
        language.lanname IN ('c', 'internal')
        AND function.provolatile <> 'v'
        AND EXISTS (
            SELECT FROM pg_catalog.pg_depend AS member
            WHERE member.classid = 'pg_catalog.pg_operator'::regclass
                AND member.objid = operator.oid AND member.deptype = 'e'
        )
    )
