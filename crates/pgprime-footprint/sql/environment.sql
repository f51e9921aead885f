-- Who asks, where, and with which of the settings that change results; and what belongs to no single object but changes what
-- a text means or who may run it.
WITH /* pgprime */ RECURSIVE roles(oid) AS (
    SELECT oid FROM pg_roles WHERE rolname = current_user
    UNION
    SELECT relowner FROM pg_class WHERE relkind = 'v'
    UNION
    SELECT proowner FROM pg_proc WHERE prosecdef
    UNION
    SELECT m.roleid FROM roles r JOIN pg_auth_members m ON m.member = r.oid
), parts(part) AS (
    SELECT format('member %s', m) FROM pg_auth_members m WHERE m.member IN (SELECT oid FROM roles)
    UNION ALL
    SELECT format('role %s %s %s', oid, rolsuper, rolinherit) FROM pg_roles WHERE oid IN (SELECT oid FROM roles)
    UNION ALL
    SELECT format('schema %s %s %s', nspname, nspowner, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'
    UNION ALL
    SELECT format('label %s %s %s', enumtypid, enumsortorder, enumlabel) FROM pg_enum
    UNION ALL
    SELECT format('domain %s %s %s %s', oid, typbasetype, typtypmod, typnotnull) FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT format('check %s %s', contypid, conbin) FROM pg_constraint WHERE contypid <> 0
    UNION ALL
    SELECT format('part %s %s %s', a.attrelid, a.attname, a.atttypid)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'c' AND NOT a.attisdropped
    UNION ALL
    SELECT format('cast %s %s %s %s', castsource, casttarget, castfunc, castcontext) FROM pg_cast WHERE oid >= 16384
    UNION ALL
    SELECT format('operator %s %s %s', oid, oprname, oprcode::oid) FROM pg_operator WHERE oid >= 16384
    UNION ALL
    SELECT format('words %s', m) FROM pg_ts_config_map m
    UNION ALL
    SELECT format('dictionary %s %s %s', oid, dicttemplate, dictinitoption) FROM pg_ts_dict WHERE oid >= 16384
)
SELECT current_database()::text AS database, current_user::text AS role,
       current_schemas(true)::text[] AS search_path,
       current_setting('server_version_num')::int4 AS version,
       current_setting('default_transaction_isolation') AS isolation,
       n.names, n.settings,
       ARRAY(SELECT oid FROM pg_roles WHERE rolsuper OR rolbypassrls)::oid[] AS exempt,
       ARRAY(SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)' ORDER BY 1) AS schemas,
       ARRAY(SELECT evtfoid FROM pg_event_trigger WHERE evtenabled <> 'D' AND evtevent <> 'login')::oid[] AS event_triggers,
       (SELECT hashtextextended(string_agg(part, E'\n' ORDER BY part COLLATE "C"), 0) FROM parts) AS surroundings
FROM (SELECT array_agg(name ORDER BY at) AS names,
             array_agg(coalesce(current_setting(name, true), '') ORDER BY at) AS settings
      FROM unnest($1) WITH ORDINALITY AS s(name, at)) AS n
