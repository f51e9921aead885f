-- Everything that has rows, system relations by name alone; temporary ones are of other sessions.
SELECT /* pgprime */ c.oid, n.nspname::text AS schema, c.relname::text AS name, format('%I.%I', n.nspname, c.relname) AS display,
       c.relkind::text AS kind, c.relpersistence::text AS persistence, c.relowner AS owner,
       c.relrowsecurity AS has_row_security, c.relforcerowsecurity AS holds_for_owner,
       c.relrowsecurity AND row_security_active(c.oid) AS holds,
       coalesce(array_to_string(c.reloptions, ' ') ~* 'security_invoker=(t|on|y|1)', false) AS is_invoker,
       d.definition IS NOT NULL AS is_defined,
       CASE WHEN octet_length(d.definition) <= 1048576 THEN d.definition END AS definition,
       hashtextextended(coalesce(
           -- With who may read it, and with its file, by which a table that was rewritten or emptied elsewhere is told.
           (SELECT concat_ws(' ', c.relowner, c.relacl::text, CASE WHEN c.relkind IN ('r', 'm') THEN c.relfilenode END,
                             string_agg(format('%s %s %s %s %s', a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attacl),
                                        ',' ORDER BY a.attnum))
            FROM pg_attribute a
            WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
              AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), ''), 0) AS columns
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (SELECT pg_get_viewdef(c.oid) AS definition
                   WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')) d ON true
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
ORDER BY c.oid
LIMIT $1
