SELECT /* pgprime: what has to be done for pg_stat_statements */
    EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements') AS is_installed,
    -- Shown to members of pg_read_all_settings alone; each library quoted, as ALTER SYSTEM takes them.
    (
        SELECT string_agg(quote_literal(trim(both ' "' FROM library)), ', ')
        FROM pg_settings, regexp_split_to_table(setting, ',') AS library
        WHERE name = 'shared_preload_libraries' AND trim(both ' "' FROM library) <> ''
    ) AS libraries,
    EXISTS (SELECT FROM pg_settings WHERE name = 'shared_preload_libraries') AS sees_libraries
