-- The indexes of a view, $1.
SELECT i.relname AS name, x.indisunique AS is_unique, pg_get_indexdef(i.oid) AS definition,
       x.indpred IS NOT NULL AS is_partial, x.indexprs IS NOT NULL AS has_expressions,
       x.indisvalid AND x.indisready AND x.indimmediate AS is_usable,
       am.amname = 'btree' AS is_btree,
       ARRAY(SELECT pg_get_indexdef(i.oid, position::int4, true)
             FROM pg_catalog.generate_series(1, x.indnkeyatts) AS position) AS keys,
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(x.indkey[0:x.indnkeyatts - 1]) WITH ORDINALITY AS k(number, position)
             JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number ORDER BY k.position) AS columns
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_am am ON am.oid = i.relam
WHERE x.indrelid = $1
ORDER BY x.indisunique DESC, i.relname
