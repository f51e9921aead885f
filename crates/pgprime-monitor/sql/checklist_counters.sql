SELECT /* pgprime: temporary files of this database, and checkpoints of the server */
    d.temp_files::int8 AS temp_files,
    d.temp_bytes::int8 AS temp_bytes,
    c.{timed}::int8 AS timed,
    c.{requested}::int8 AS requested,
    extract(epoch FROM c.stats_reset)::float8 AS reset_s,
    extract(epoch FROM pg_conf_load_time())::float8 AS loaded_s,
    extract(epoch FROM clock_timestamp())::float8 AS at_s
FROM pg_stat_database d
CROSS JOIN {view} c
WHERE d.datname = current_database()
