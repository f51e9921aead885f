SELECT /* pgprime: since when scans are counted, and who else counts some */
    extract(epoch FROM now() - (
        SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()
    ))::float8 AS reset_seconds,
    extract(epoch FROM now() - pg_postmaster_start_time())::float8 AS uptime_seconds,
    (
        SELECT count(*)
        FROM pg_stat_replication r
        LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
        WHERE r.state IS DISTINCT FROM 'backup' AND s.slot_type IS DISTINCT FROM 'logical'
    ) + (
        SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active
    ) AS replicas
