SELECT /* pgprime */
    pg_catalog.pg_is_in_recovery() AS in_recovery,
    pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all,
    current_user::text AS role,
    w.status,
    w.sender_host,
    w.sender_port,
    w.slot_name::text AS slot_name,
    CASE
        WHEN NOT pg_catalog.pg_is_in_recovery() THEN NULL
        -- All that was received is replayed: then the last transaction's age says nothing.
        WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN 0
        ELSE extract(epoch FROM clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8
    END AS replay_delay_s
FROM (SELECT 1) one
LEFT JOIN pg_catalog.pg_stat_wal_receiver w ON true
