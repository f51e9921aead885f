SELECT /* pgprime: functions named $1, and whether the same arguments always give the same */
    p.proname::text AS name,
    p.pronamespace = 'pg_catalog'::regnamespace AS is_system,
    p.prokind = 'f' AND p.provolatile = 'i' AND NOT p.proretset AS is_immutable,
    p.pronargs::int4 AS arguments,
    string_to_array(p.proargtypes::text, ' ')::oid[] AS argument_types
FROM pg_proc p
WHERE p.proname = ANY ($1)
