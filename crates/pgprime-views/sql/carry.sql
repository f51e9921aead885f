-- Statements that give relation $2.$3 what relation $1 of the same kind has: indexes with their tablespaces (an empty one is the
-- database's), comments, what was set for columns, grants. Columns that the new one does not have are left out. Step 1 may
-- fail where a column is gone; the others do not.
WITH rel AS (
    SELECT c.oid, c.relname, c.relowner, c.relacl, n.nspname, n.oid AS schema_oid,
           pg_catalog.format('%I.%I', $2, $3) AS target, to_regclass(pg_catalog.format('%I.%I', $2, $3))::oid AS made,
           CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS kind
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = $1
), index AS (
    SELECT i.oid, i.relname, x.indisclustered, pg_get_indexdef(i.oid) AS definition, rel.target,
           coalesce((SELECT t.spcname FROM pg_tablespace t WHERE t.oid = i.reltablespace), '') AS tablespace,
           pg_catalog.format('CREATE %sINDEX %I ON ', CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname) AS start,
           pg_catalog.format('%I.%I USING ', rel.nspname, rel.relname) AS from_table, rel.target || ' USING ' AS to_table
    FROM rel
    JOIN pg_index x ON x.indrelid = rel.oid
    JOIN pg_class i ON i.oid = x.indexrelid
), columns AS (
    SELECT a.attnum, a.attname, a.attacl, rel.target, pg_catalog.format('ALTER %s %s ALTER %I SET ', rel.kind, rel.target, a.attname) AS set,
           nullif(a.attstattarget, -1) AS statistics, a.attoptions,
           -- No column of version 13.
           CASE pg_catalog.to_jsonb(a) ->> 'attcompression'::text WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
           CASE WHEN rel.kind = 'MATERIALIZED VIEW' AND a.attstorage <> t.typstorage
                THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                                       ELSE 'EXTENDED' END END AS storage
    FROM rel
    JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE rel.made IS NULL OR EXISTS (SELECT FROM pg_attribute m WHERE m.attrelid = rel.made
                                      AND m.attname = a.attname AND NOT m.attisdropped)
), granted AS (
    SELECT rel.target, e.grantee, e.is_grantable, string_agg(e.privilege_type, ', ' ORDER BY e.privilege_type) AS what,
           NULL AS attname
    FROM rel, aclexplode(rel.relacl) AS e
    WHERE e.grantee <> rel.relowner
    GROUP BY rel.target, e.grantee, e.is_grantable
    UNION ALL
    SELECT c.target, e.grantee, e.is_grantable,
           string_agg(pg_catalog.format('%s (%I)', e.privilege_type, c.attname), ', ' ORDER BY e.privilege_type), c.attname::text
    FROM columns c, aclexplode(c.attacl) AS e
    GROUP BY c.target, e.grantee, e.is_grantable, c.attname
)
SELECT 1 AS step, relname::text AS name, tablespace::text AS tablespace,
       CASE WHEN starts_with(definition, start || from_table)
            THEN start || to_table || substr(definition, length(start || from_table) + 1) END AS sql
FROM index
UNION ALL
SELECT 2, index.relname::text, NULL, pg_catalog.format('COMMENT ON INDEX %I.%I IS %L', $2, index.relname, d.description)
FROM index
JOIN pg_description d ON d.objoid = index.oid AND d.classoid = 'pg_class'::regclass::oid AND d.objsubid = 0
UNION ALL
SELECT 2, relname::text, NULL, pg_catalog.format('ALTER MATERIALIZED VIEW %s CLUSTER ON %I', target, relname)
FROM index
WHERE indisclustered
UNION ALL
SELECT 2, index.relname::text, NULL, pg_catalog.format('ALTER INDEX %I.%I ALTER %s SET STATISTICS %s', $2, index.relname, a.attnum,
                                            a.attstattarget)
FROM index
JOIN pg_attribute a ON a.attrelid = index.oid AND a.attstattarget >= 0
UNION ALL
SELECT 3, NULL, NULL, pg_catalog.format('COMMENT ON %s %s IS %L', rel.kind, rel.target, d.description)
FROM rel
JOIN pg_description d ON d.objoid = rel.oid AND d.classoid = 'pg_class'::regclass::oid AND d.objsubid = 0
UNION ALL
SELECT 4, NULL, NULL, pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', columns.target, columns.attname, d.description)
FROM columns
JOIN pg_description d ON d.objoid = $1 AND d.classoid = 'pg_class'::regclass::oid AND d.objsubid = columns.attnum
UNION ALL
SELECT 4, NULL, NULL, columns.set || what
FROM columns,
     pg_catalog.unnest(ARRAY['STATISTICS '::text || statistics::text, '(' || pg_catalog.array_to_string(attoptions, ', ') || ')', 'STORAGE ' || storage,
                  'COMPRESSION ' || compression]) AS what
WHERE what IS NOT NULL
UNION ALL
-- Privileges that came by default and that the old one does not have.
SELECT DISTINCT 5, NULL, NULL, pg_catalog.format('REVOKE ALL ON %s FROM %s', rel.target,
                                CASE e.grantee WHEN '0'::oid THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_get_userbyid(e.grantee)) END)
FROM rel
JOIN pg_class m ON m.oid = rel.made, aclexplode(m.relacl) AS e
WHERE e.grantee <> m.relowner
UNION ALL
SELECT 6, NULL, NULL, pg_catalog.format('GRANT %s ON %s TO %s%s', what, target,
                       CASE grantee WHEN '0'::oid THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_get_userbyid(grantee)) END,
                       CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM granted
ORDER BY 1, 4
