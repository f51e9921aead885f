-- Functions, procedures and aggregates that people or extensions made.
SELECT /* pgprime */ p.oid, n.nspname::text AS schema, p.proname::text AS name, format('%I.%I()', n.nspname, p.proname) AS display,
       p.prokind::text AS kind, p.provolatile::text AS volatility, l.lanname::text AS language, p.prosecdef AS is_definer,
       (p.pronargs - p.pronargdefaults)::int4 AS arguments_min, p.pronargs::int4 AS arguments_max,
       p.provariadic <> 0 AS is_variadic,
       p.pronargs = 1 AND a.typtype IN ('c', 'p') AS takes_row,
       coalesce(p.proconfig, '{}')::text[] AS settings,
       (SELECT e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_extension'::regclass LIMIT 1) AS extension,
       CASE WHEN s.is_seen THEN pg_get_function_arguments(p.oid) END AS arguments,
       CASE WHEN s.is_seen AND p.prokind <> 'p' THEN pg_get_function_result(p.oid) END AS result,
       CASE WHEN s.is_seen AND octet_length(p.prosrc) <= 1048576 THEN p.prosrc END AS source,
       CASE WHEN s.is_seen THEN (SELECT b.body FROM (SELECT /*body*/NULL::text AS body) b
                                 WHERE octet_length(b.body) <= 1048576) END AS body,
       hashtextextended(concat_ws(' ', p.prosrc, p.probin, p.provolatile, p.proargtypes::text, p.prorettype,
                                  p.proisstrict, p.prosecdef, p.proconfig::text, p.proargdefaults::text, p.proowner, p.proacl::text,
                                  /*body*/NULL::text), 0) AS hash,
       ARRAY(SELECT d.refobjid FROM pg_depend d
             WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
               AND d.refobjid <> p.oid)::oid[] AS calls,
       coalesce((SELECT ARRAY[g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn]::oid[]
                 FROM pg_aggregate g WHERE g.aggfnoid = p.oid), '{}'::oid[]) AS parts
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_type a ON a.oid = p.proargtypes[0],
LATERAL (SELECT l.lanname IN ('sql', 'plpgsql') AND p.prokind IN ('f', 'p') AS is_seen) s
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY p.oid
LIMIT $1
