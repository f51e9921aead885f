-- The types that the server has found for the parameters of a prepared statement, in order. $1: its name.
SELECT /* pgprime */ format_type(listed.type, NULL) AS type
FROM pg_catalog.pg_prepared_statements AS prepared,
    unnest(prepared.parameter_types::oid[]) WITH ORDINALITY AS listed (type, position)
WHERE prepared.name = $1::text
ORDER BY listed.position
