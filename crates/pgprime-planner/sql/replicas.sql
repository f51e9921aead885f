SELECT /* pgprime: who follows this server; base backups are none */
    r.application_name AS name,
    host(r.client_addr) AS address,
    r.state,
    r.sync_state,
    coalesce(s.slot_type = 'logical', false) AS is_logical,
    pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, r.replay_lsn
    )::int8 AS lag_bytes,
    extract(epoch FROM r.replay_lag)::float8 AS lag_seconds
FROM pg_stat_replication r
LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
WHERE r.state IS DISTINCT FROM 'backup'
ORDER BY r.application_name, r.pid
