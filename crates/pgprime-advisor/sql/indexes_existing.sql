SELECT /* pgprime: indexes of tables $1 */
    i.indrelid AS oid,
    m.amname::text AS method,
    i.indisunique AS is_unique,
    i.indnkeyatts::int4 AS key_count,
    ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnatts) k ORDER BY k) AS columns,
    ARRAY(
        SELECT CASE WHEN o.opcdefault THEN NULL ELSE o.opcname::text END
        FROM unnest(string_to_array(i.indclass::text, ' ')::oid[]) WITH ORDINALITY AS u (class, place)
        JOIN pg_opclass o ON o.oid = u.class
        ORDER BY u.place
    ) AS operator_classes,
    string_to_array(i.indoption::text, ' ')::int4[] AS options,
    pg_get_expr(i.indpred, i.indrelid) AS predicate
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam
WHERE i.indrelid = ANY ($1) AND i.indisvalid AND i.indisready AND i.indislive
