SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), t.tgenabled <> 'D'
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_proc f ON f.oid = t.tgfoid
JOIN pg_catalog.pg_namespace s ON s.oid = f.pronamespace
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE s.nspname = 'pgprime' AND f.proname = 'notify_change' AND NOT t.tgisinternal
    -- AFTER each statement of all four kinds.
    AND t.tgtype = 60
ORDER BY 1
