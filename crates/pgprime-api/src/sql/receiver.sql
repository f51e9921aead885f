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
        -- All that was received is replayed: then the last transaction's age says nothing. Where nothing is received either,
        -- nobody can tell. Who may not see the state sees at least that a receiver is connected. It begins at the start of
        -- a segment, of which more may be replayed already.
        WHEN coalesce(pg_catalog.pg_last_wal_receive_lsn() <= pg_catalog.pg_last_wal_replay_lsn(), true)
            THEN CASE WHEN w.pid IS NOT NULL AND coalesce(w.status = 'streaming', true) THEN 0 END
        ELSE extract(epoch FROM clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8
    END AS replay_delay_s
FROM (SELECT 1) one
LEFT JOIN pg_catalog.pg_stat_wal_receiver w ON true
