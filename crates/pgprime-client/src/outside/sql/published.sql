-- How tables stand with the publication: those named in $1, or all that are in it when none is named.
WITH publication AS (
    SELECT oid, pubinsert AND pubupdate AND pubdelete AND pubtruncate AND NOT pubviaroot AS is_whole
    FROM pg_catalog.pg_publication
    WHERE pubname = 'pgprime_changes'
), entry AS (
    SELECT r.prrelid AS oid,
        -- Versions before 15 have neither.
        pg_catalog.to_jsonb(r) ->> 'prqual' IS NOT NULL AS is_filtered,
        (SELECT pg_catalog.array_agg(a::int ORDER BY a::int)
         FROM pg_catalog.string_to_array(pg_catalog.translate(pg_catalog.to_jsonb(r) ->> 'prattrs', '[],', ''), ' ') AS l,
             pg_catalog.unnest(l) AS a) AS attributes
    FROM pg_catalog.pg_publication_rel r
    JOIN publication p ON p.oid = r.prpubid
), said AS (
    -- With what is published by its schema, or because everything is.
    SELECT c.oid
    FROM pg_catalog.pg_publication_tables t
    JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
    WHERE t.pubname = 'pgprime_changes'
), meant AS (
    SELECT pg_catalog.to_regclass(name)::oid AS oid FROM pg_catalog.unnest($1::text[]) AS name
    UNION
    SELECT oid FROM said WHERE pg_catalog.cardinality($1::text[]) = 0
    UNION
    SELECT oid FROM entry WHERE pg_catalog.cardinality($1::text[]) = 0
), shape AS (
    SELECT c.oid, c.relkind, c.relpersistence, c.relreplident, n.nspname, c.relname,
        coalesce(pg_catalog.pg_partition_root(c.oid)::oid, c.oid) AS head,
        -- The columns of its identity, by the rules of PostgreSQL: FULL is all of the row, and has none of its own.
        (SELECT pg_catalog.array_agg(k.attribute::int ORDER BY k.attribute)
         FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attribute, place)
         WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate AND i.indisunique AND k.place <= i.indnkeyatts
             AND CASE WHEN c.relkind = 'p' OR c.relreplident = 'd' THEN i.indisprimary
                      ELSE c.relreplident = 'i' AND i.indisreplident END) AS identity
    FROM meant
    JOIN pg_catalog.pg_class c ON c.oid = meant.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
)
SELECT /* pgprime */ pg_catalog.format('%I.%I', s.nspname, s.relname) AS name,
    pg_catalog.format('%I.%I', hn.nspname, h.relname) AS head,
    s.relkind = 'p' AS is_partitioned,
    e.is_in,
    e.is_entry,
    e.is_in OR s.oid IN (SELECT oid FROM said) AS is_published,
    s.relpersistence = 'u' AS is_unlogged,
    s.identity IS NOT NULL OR (s.relkind = 'r' AND s.relreplident = 'f') AS has_identity,
    e.is_filtered,
    e.attributes IS NOT NULL AS is_listed,
    coalesce(s.identity <@ e.attributes, e.attributes IS NULL) AS is_covered,
    coalesce(s.identity = e.attributes, false) AS is_of_key,
    coalesce((SELECT is_whole FROM publication), true) AS is_whole,
    -- What a list of columns would have, where there can be one.
    CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 150000 THEN
        (SELECT pg_catalog.array_agg(pg_catalog.quote_ident(a.attname) ORDER BY a.attnum)
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = s.oid AND a.attnum = ANY (s.identity))
    END AS key
FROM shape s
JOIN pg_catalog.pg_class h ON h.oid = s.head
JOIN pg_catalog.pg_namespace hn ON hn.oid = h.relnamespace
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS is_in, coalesce(pg_catalog.bool_or(entry.oid = s.oid), false) AS is_entry,
        coalesce(pg_catalog.bool_or(entry.is_filtered), false) AS is_filtered,
        min(entry.attributes) AS attributes
    FROM entry
    WHERE entry.oid = s.oid OR entry.oid IN (SELECT relid::oid FROM pg_catalog.pg_partition_ancestors(s.oid) AS relid)
) e
ORDER BY s.relkind = 'p' DESC, s.oid
