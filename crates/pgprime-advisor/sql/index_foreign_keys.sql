SELECT /* pgprime: foreign keys and what their parents went through */
    quote_ident(k.conname) AS constraint_name,
    k.conrelid AS table_oid,
    n.nspname::text AS schema,
    c.relname::text AS name,
    quote_ident(n.nspname) AS schema_quoted,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS table_name,
    quote_ident(pn.nspname) || '.' || quote_ident(p.relname) AS parent,
    c.relkind = 'p' AS is_partitioned,
    k.conkey AS column_numbers,
    ARRAY(
        SELECT a.attname::text
        FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number
        ORDER BY u.place
    ) AS columns,
    ARRAY(
        SELECT quote_ident(a.attname)
        FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number
        ORDER BY u.place
    ) AS columns_quoted,
    pg_stat_get_tuples_deleted(k.confrelid) AS parent_deletes,
    pg_stat_get_tuples_updated(k.confrelid) AS parent_updates
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid
JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f'
    -- Of a partitioned table's constraints the one on the whole.
    AND k.conparentid = 0
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND c.relpersistence <> 't'
ORDER BY table_name, k.conname
