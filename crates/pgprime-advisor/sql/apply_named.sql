SELECT /* pgprime: what has the name $2 in schema $1 */
    c.oid,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified,
    coalesce(i.indisvalid AND i.indisready AND i.indislive, false) AS is_usable,
    c.relkind IN ('i', 'I') AND pg_has_role(c.relowner, 'USAGE') AS is_own,
    c.relkind = 'I' AS is_partitioned,
    CASE WHEN i.indexrelid IS NOT NULL THEN pg_get_indexdef(c.oid) END AS definition,
    CASE WHEN i.indexrelid IS NOT NULL THEN coalesce(
        (SELECT sum(pg_relation_size(p.relid)) FROM pg_partition_tree(c.oid) p WHERE p.isleaf),
        pg_relation_size(c.oid)
    )::int8 END AS size_bytes,
    EXISTS (
        SELECT FROM pg_stat_progress_create_index p
        WHERE p.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND p.pid <> pg_backend_pid()
            AND p.index_relid = c.oid
    ) AS is_in_work
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE n.nspname = $1 AND c.relname = $2
