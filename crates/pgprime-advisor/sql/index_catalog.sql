SELECT /* pgprime: indexes, what they are for and how they are used; those of locked relations $1 are left out */
    i.indexrelid AS oid,
    i.indrelid AS table_oid,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified,
    n.nspname::text AS schema,
    c.relname::text AS name,
    quote_ident(c.relname) AS quoted,
    quote_ident(tn.nspname) || '.' || quote_ident(t.relname) AS table_name,
    a.amname::text AS method,
    c.relkind = 'I' AS is_partitioned,
    (SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) AS parent_oid,
    i.indisunique AS is_unique,
    i.indisexclusion AS is_exclusion,
    i.indisvalid AS is_valid,
    i.indisready AS is_ready,
    i.indisreplident AS is_replica_identity,
    i.indisclustered AS is_clustered,
    -- Its own constraint, or a foreign key that refers to it.
    EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x', 'f'))
        AS has_constraint,
    i.indnkeyatts::int4 AS key_columns,
    string_to_array(i.indkey::text, ' ')::int2[] AS column_numbers,
    ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnatts) k ORDER BY k) AS columns,
    string_to_array(i.indclass::text, ' ') AS operator_classes,
    string_to_array(i.indcollation::text, ' ') AS collations,
    string_to_array(i.indoption::text, ' ') AS orders,
    pg_get_expr(i.indpred, i.indrelid) AS predicate,
    coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) AS nulls_not_distinct,
    pg_get_indexdef(i.indexrelid) AS definition,
    CASE WHEN c.relkind = 'i' THEN pg_relation_size(c.oid) ELSE 0 END AS bytes,
    pg_stat_get_numscans(i.indexrelid) AS scans,
    pg_stat_get_tuples_inserted(i.indrelid) + pg_stat_get_tuples_updated(i.indrelid) AS writes,
    NOT i.indisvalid AND (
        EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid OR p.index_relid = i.indexrelid)
        OR EXISTS (
            SELECT FROM pg_locks l
            WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock'
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        )
    ) AS may_be_building
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_am a ON a.oid = c.relam
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
    AND i.indrelid <> ALL ($1) AND i.indexrelid <> ALL ($1)
    AND i.indislive
ORDER BY table_name, qualified
