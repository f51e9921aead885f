SELECT /* pgprime: schemas for temporary tables whose session is gone; {live} says which sessions are there */
    quote_ident(n.nspname) AS qualified,
    count(*)::int8 AS relations,
    sum(c.relpages)::int8 AS pages
FROM pg_namespace n
JOIN pg_class c ON c.relnamespace = n.oid
WHERE n.nspname ~ '^pg_temp_[0-9]+$'
    AND n.oid <> pg_my_temp_schema()
    AND NOT ({live})
GROUP BY n.nspname
ORDER BY n.nspname
