SELECT /* pgprime: the indexes of table $2 in schema $1 */
    pg_has_role(t.relowner, 'USAGE') AS is_own,
    pg_get_userbyid(t.relowner)::text AS owner,
    current_user::text AS role,
    m.amname::text AS method,
    pg_get_indexdef(c.oid) AS definition,
    quote_ident(c.relname) AS name
FROM pg_class t
JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisvalid
LEFT JOIN pg_class c ON c.oid = i.indexrelid
LEFT JOIN pg_am m ON m.oid = c.relam
WHERE n.nspname = $1 AND t.relname = $2
