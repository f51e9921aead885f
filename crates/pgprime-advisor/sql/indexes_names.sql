SELECT /* pgprime: what the names $1 stand for */
    n.name,
    c.oid,
    quote_ident(s.nspname) || '.' || quote_ident(c.relname) AS qualified,
    quote_ident(s.nspname) AS schema_quoted,
    s.nspname::text AS schema,
    c.relname::text AS relation,
    c.relkind::text AS kind,
    s.nspname IN ('pg_catalog', 'information_schema') OR s.nspname ~ '^pg_(toast|temp)' AS is_system,
    CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END AS definition
FROM unnest($1::text[]) AS n (name)
JOIN pg_class c ON c.oid = to_regclass(n.name)
JOIN pg_namespace s ON s.oid = c.relnamespace
