SELECT /* pgprime: sequences, how far they are, and the narrowest column that takes their values; $1 are locked */
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified,
    q.seqstart AS start,
    q.seqincrement AS increment,
    q.seqmin AS minimum,
    q.seqmax AS maximum,
    q.seqcycle AS cycles,
    format_type(q.seqtypid, NULL) AS sequence_type,
    has_sequence_privilege(c.oid, 'USAGE') OR has_sequence_privilege(c.oid, 'SELECT') AS is_readable,
    CASE WHEN c.oid <> ALL ($1)
            AND (has_sequence_privilege(c.oid, 'USAGE') OR has_sequence_privilege(c.oid, 'SELECT'))
            -- An unlogged sequence does not exist on a replica.
            AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
        THEN pg_sequence_last_value(c.oid) END AS last_value,
    c.oid = ANY ($1) AS is_locked,
    u.table_name,
    u.column_name,
    u.column_type,
    coalesce(u.is_identity, false) AS is_identity
FROM pg_sequence q
JOIN pg_class c ON c.oid = q.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT
        quote_ident(tn.nspname) || '.' || quote_ident(t.relname) AS table_name,
        quote_ident(a.attname) AS column_name,
        format_type(a.atttypid, NULL) AS column_type,
        a.attidentity <> '' AS is_identity
    FROM (
        -- Owned by a column (serial) or part of it (identity).
        SELECT d.refobjid AS table_oid, d.refobjsubid AS number
        FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
            AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
        UNION
        -- Used by a column's default.
        SELECT f.adrelid, f.adnum
        FROM pg_depend d
        JOIN pg_attrdef f ON f.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
    ) user_of
    JOIN pg_class t ON t.oid = user_of.table_oid
    JOIN pg_namespace tn ON tn.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = user_of.number
    ORDER BY CASE a.atttypid WHEN 'int2'::regtype THEN 1 WHEN 'int4'::regtype THEN 2 ELSE 3 END, t.oid, a.attnum
    LIMIT 1
) u ON true
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND c.relpersistence <> 't'
ORDER BY n.nspname, c.relname
