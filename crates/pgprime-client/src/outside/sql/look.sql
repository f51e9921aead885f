-- The publication, what is watched in either way, and whose confirmation commits wait for.
SELECT /* pgprime */
    (SELECT oid::text FROM pg_catalog.pg_publication WHERE pubname = 'pgprime_changes') AS publication,
    pg_catalog.md5(pg_catalog.concat(
        (SELECT pg_catalog.string_agg(pg_catalog.concat(tgrelid, tgenabled), ',' ORDER BY tgrelid)
         FROM pg_catalog.pg_trigger
         WHERE tgname = 'pgprime_notify_change'),
        '/',
        (SELECT pg_catalog.string_agg(r.prrelid::text, ',' ORDER BY r.prrelid)
         FROM pg_catalog.pg_publication p
         JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
         WHERE p.pubname = 'pgprime_changes')
    )) AS watched,
    pg_catalog.current_setting('synchronous_standby_names') AS standbys
