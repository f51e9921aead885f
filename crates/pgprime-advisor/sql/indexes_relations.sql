SELECT /* pgprime: names taken in schemas $1 */
    n.nspname::text AS schema,
    c.relname::text AS name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1)
