SELECT /* pgprime */
    s.slot_name::text AS name,
    s.slot_type AS kind,
    s.database::text AS database,
    s.active,
    s.wal_status,
    pg_catalog.pg_wal_lsn_diff(p.at, s.restart_lsn)::int8 AS retained_bytes
FROM pg_catalog.pg_replication_slots s
CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END) p(at)
ORDER BY 6 DESC NULLS LAST, 1
LIMIT 200
