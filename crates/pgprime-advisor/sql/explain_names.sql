-- What names stand for under the search_path of the statement. $1: relations, $2: types, both quoted.
-- Runs under that search_path, so that everything in it is qualified and no operator is used.
SELECT /* pgprime */
    pg_catalog.current_schemas(true)::pg_catalog.text[] AS schemas,
    ARRAY(
        SELECT pg_catalog.to_regclass(listed.name)::pg_catalog.oid
        FROM pg_catalog.unnest($1::pg_catalog.text[]) AS listed (name)
    ) AS relations,
    ARRAY(
        SELECT pg_catalog.to_regtype(listed.name)::pg_catalog.oid
        FROM pg_catalog.unnest($2::pg_catalog.text[]) AS listed (name)
    ) AS types
