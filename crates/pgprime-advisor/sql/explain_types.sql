-- $1: types. Domains check their values with expressions; other types are made of types.
SELECT /* pgprime */
    type.oid,
    format_type(type.oid, NULL) AS name,
    type.typtype::text AS kind,
    ARRAY(
        SELECT check_.conbin::text FROM pg_catalog.pg_constraint AS check_
        WHERE check_.contypid = type.oid AND check_.conbin IS NOT NULL
    ) AS trees,
    ARRAY(
        SELECT part FROM unnest(ARRAY[type.typbasetype, CASE WHEN type.typcategory = 'A' THEN type.typelem END]) AS part
        WHERE part <> 0
        UNION ALL
        SELECT range.rngsubtype FROM pg_catalog.pg_range AS range WHERE range.rngtypid = type.oid
    ) AS parts
FROM pg_catalog.pg_type AS type
WHERE type.oid = ANY ($1::oid[]) AND type.oid >= 16384
