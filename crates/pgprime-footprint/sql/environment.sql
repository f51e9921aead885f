-- Who asks, where, and with which of the settings that change results.
SELECT /* pgprime */ current_database()::text AS database, current_user::text AS role,
       current_schemas(true)::text[] AS search_path,
       current_setting('server_version_num')::int4 AS version,
       n.names, n.settings,
       ARRAY(SELECT oid FROM pg_roles WHERE rolsuper OR rolbypassrls)::oid[] AS exempt,
       ARRAY(SELECT nspname::text FROM pg_namespace) AS schemas
FROM (SELECT array_agg(name ORDER BY at) AS names,
             array_agg(coalesce(current_setting(name, true), '') ORDER BY at) AS settings
      FROM unnest($1) WITH ORDINALITY AS s(name, at)) AS n
