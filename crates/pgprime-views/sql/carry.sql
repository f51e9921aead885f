-- Statements that give relation $2.$3 what relation $1 of the same kind has: indexes, comments and grants. Columns that
-- the new one does not have are left out. Step 1 may fail where a column is gone; the others do not.
WITH rel AS (
    SELECT c.oid, c.relname, c.relowner, c.relacl, n.nspname, n.oid AS schema_oid,
           format('%I.%I', $2, $3) AS target, to_regclass(format('%I.%I', $2, $3)) AS made,
           CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS kind
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = $1
), index AS (
    SELECT i.oid, i.relname, pg_get_indexdef(i.oid) AS definition,
           format('CREATE %sINDEX %I ON ', CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname) AS start,
           format('%I.%I USING ', rel.nspname, rel.relname) AS from_table, rel.target || ' USING ' AS to_table
    FROM rel
    JOIN pg_index x ON x.indrelid = rel.oid
    JOIN pg_class i ON i.oid = x.indexrelid
), columns AS (
    SELECT a.attnum, a.attname, a.attacl, rel.target
    FROM rel
    JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
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
           string_agg(format('%s (%I)', e.privilege_type, c.attname), ', ' ORDER BY e.privilege_type), c.attname::text
    FROM columns c, aclexplode(c.attacl) AS e
    GROUP BY c.target, e.grantee, e.is_grantable, c.attname
)
SELECT 1 AS step, relname::text AS name,
       CASE WHEN starts_with(definition, start || from_table)
            THEN start || to_table || substr(definition, length(start || from_table) + 1) END AS sql
FROM index
UNION ALL
SELECT 2, index.relname::text, format('COMMENT ON INDEX %I.%I IS %L', $2, index.relname, d.description)
FROM index
JOIN pg_description d ON d.objoid = index.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
UNION ALL
SELECT 3, NULL, format('COMMENT ON %s %s IS %L', rel.kind, rel.target, d.description)
FROM rel
JOIN pg_description d ON d.objoid = rel.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
UNION ALL
SELECT 4, NULL, format('COMMENT ON COLUMN %s.%I IS %L', columns.target, columns.attname, d.description)
FROM columns
JOIN pg_description d ON d.objoid = $1 AND d.classoid = 'pg_class'::regclass AND d.objsubid = columns.attnum
UNION ALL
-- Privileges that came by default and that the old one does not have.
SELECT DISTINCT 5, NULL, format('REVOKE ALL ON %s FROM %s', rel.target,
                                CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END)
FROM rel
JOIN pg_class m ON m.oid = rel.made, aclexplode(m.relacl) AS e
WHERE e.grantee <> m.relowner
UNION ALL
SELECT 6, NULL, format('GRANT %s ON %s TO %s%s', what, target,
                       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                       CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM granted
ORDER BY 1, 3
