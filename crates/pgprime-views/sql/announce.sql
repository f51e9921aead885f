-- Tells those who listen to channel $1 which views change when this commits; $2 schemas, $3 names.
SELECT named.name, pg_notify($1, named.name)
FROM (SELECT pg_catalog.format('%I.%I', v.schema, v.name) AS name
      FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) AS v (schema, name)) AS named
