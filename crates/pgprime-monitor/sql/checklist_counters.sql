SELECT /* pgprime: temporary files of this database, and checkpoints of the server */
    d.temp_files::int8 AS temp_files,
    d.temp_bytes::int8 AS temp_bytes,
    c.{timed}::int8 AS timed,
    c.{requested}::int8 AS requested
FROM pg_stat_database d
CROSS JOIN {view} c
WHERE d.datname = current_database()
