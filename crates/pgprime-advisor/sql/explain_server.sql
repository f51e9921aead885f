SELECT /* pgprime */
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version_number,
    pg_catalog.current_setting('is_superuser') AS is_superuser,
    current_user::pg_catalog.text AS role
