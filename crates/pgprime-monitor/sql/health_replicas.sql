SELECT /* pgprime: who follows this server, and how far behind */
    coalesce(nullif(r.application_name, ''), r.pid::text) AS name,
    host(r.client_addr) AS address,
    CASE
        WHEN s.active_pid IS NOT NULL THEN 'subscriber'
        -- What takes WAL without replaying it says nothing of replay.
        WHEN r.replay_lsn IS NULL THEN 'reader'
        ELSE 'standby'
    END AS kind,
    r.state,
    r.sync_state,
    (here.position - r.sent_lsn)::int8 AS sent_lag_bytes,
    (here.position - r.write_lsn)::int8 AS write_lag_bytes,
    (here.position - r.flush_lsn)::int8 AS flush_lag_bytes,
    (here.position - r.replay_lsn)::int8 AS replay_lag_bytes,
    (r.replay_lsn - '0/0'::pg_lsn)::int8 AS replay_position,
    extract(epoch FROM r.replay_lag)::float8 AS replay_lag_s
FROM pg_stat_replication r
LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid AND s.slot_type = 'logical'
CROSS JOIN (
    SELECT CASE
        WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
        ELSE pg_current_wal_lsn()
    END AS position
) here
WHERE r.state IS DISTINCT FROM 'backup'
ORDER BY r.replay_lsn NULLS FIRST, name
LIMIT 100
