SELECT /* pgprime: replication slots, and the WAL each keeps */
    s.slot_name::text AS name,
    s.slot_type AS kind,
    s.active,
    s.wal_status,
    greatest(here.position - s.restart_lsn, 0)::int8 AS retained_bytes,
    s.safe_wal_size::int8 AS safe_bytes,
    extract(epoch FROM clock_timestamp() - (to_jsonb(s) ->> 'inactive_since')::timestamptz)::float8 AS inactive_s
FROM pg_replication_slots s
CROSS JOIN (
    SELECT CASE
        WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
        ELSE pg_current_wal_lsn()
    END AS position
) here
WHERE NOT s.temporary AND NOT coalesce((to_jsonb(s) ->> 'synced')::bool, false)
ORDER BY retained_bytes DESC NULLS LAST, name
LIMIT 100
