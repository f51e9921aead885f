SELECT /* pgprime */
    r.application_name AS name,
    host(r.client_addr) AS address,
    r.state,
    r.sync_state,
    pg_catalog.pg_wal_lsn_diff(p.at, r.sent_lsn)::int8 AS sent_lag_bytes,
    pg_catalog.pg_wal_lsn_diff(p.at, r.write_lsn)::int8 AS write_lag_bytes,
    pg_catalog.pg_wal_lsn_diff(p.at, r.flush_lsn)::int8 AS flush_lag_bytes,
    pg_catalog.pg_wal_lsn_diff(p.at, r.replay_lsn)::int8 AS replay_lag_bytes,
    extract(epoch FROM r.replay_lag)::float8 AS replay_lag_s
FROM pg_catalog.pg_stat_replication r
CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END) p(at)
ORDER BY 8 DESC NULLS LAST, 1
LIMIT 200
