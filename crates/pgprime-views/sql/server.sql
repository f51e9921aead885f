SELECT current_setting('server_version_num')::int4 AS version,
       current_setting('server_version') AS version_text,
       pg_is_in_recovery() AS is_replica,
       to_regclass('pgprime.view_states') IS NOT NULL AND to_regclass('pgprime.view_refreshes') IS NOT NULL
           AND to_regnamespace('pgprime_build') IS NOT NULL AS is_set_up,
       (extract(epoch FROM clock_timestamp())::float8 * 1000000::float8)::int8 AS now_micros
