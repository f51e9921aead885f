SELECT /* pgprime: how this replica follows its primary */
    r.pid IS NOT NULL AS is_running,
    r.status,
    r.sender_host AS host,
    r.sender_port AS port,
    r.slot_name AS slot,
    extract(epoch FROM clock_timestamp() - r.last_msg_receipt_time)::float8 AS silent_s,
    pg_is_wal_replay_paused() AS is_paused,
    CASE
        WHEN pg_last_wal_receive_lsn() IS NOT NULL
            THEN greatest(pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn(), 0)
    END::int8 AS replay_lag_bytes,
    (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::int8 AS replay_position,
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS replayed_s_ago
FROM (SELECT) here
LEFT JOIN pg_stat_wal_receiver r ON true
