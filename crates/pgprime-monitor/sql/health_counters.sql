SELECT /* pgprime: what this database has counted, and damage of all */
    s.xact_commit::int8 AS commits,
    s.xact_rollback::int8 AS rollbacks,
    s.blks_hit::int8 AS blocks_hit,
    s.blks_read::int8 AS blocks_read,
    s.deadlocks::int8 AS deadlocks,
    s.conflicts::int8 AS conflicts,
    s.temp_bytes::int8 AS temp_bytes,
    extract(epoch FROM s.stats_reset)::float8 AS reset_s,
    (SELECT sum(checksum_failures) FROM pg_stat_database)::int8 AS checksum_failures
FROM pg_stat_database s
WHERE s.datname = current_database()
