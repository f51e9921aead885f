-- How busy the server is: sessions that execute something and do not wait for their client or a timer, with the workers that
-- help them. Of a session whose state this role may not see, being in a transaction counts. And the standby furthest behind;
-- what only receives WAL, as pg_receivewal, replays none.
WITH hidden AS (
    SELECT l.pid
    FROM pg_locks l
    WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted
), standby AS (
    SELECT coalesce(nullif(application_name, ''), host(client_addr), pid::text) AS name,
           extract(epoch FROM replay_lag)::float8 AS behind_s
    FROM pg_stat_replication
    WHERE replay_lag IS NOT NULL AND replay_lsn IS NOT NULL
    ORDER BY replay_lag DESC
    LIMIT 1
)
SELECT (SELECT count(*) FROM pg_stat_activity a
        WHERE a.pid <> pg_backend_pid() AND a.leader_pid IS DISTINCT FROM pg_backend_pid()
          AND CASE WHEN a.backend_type IS NULL
                   THEN a.usesysid IS NOT NULL AND a.pid IN (SELECT pid FROM hidden)
                   ELSE a.backend_type IN ('client backend', 'parallel worker') AND a.state = 'active'
                        AND coalesce(a.wait_event_type, '') NOT IN ('Client', 'Timeout') END) AS active,
       current_setting('max_connections')::int8 AS sessions_max,
       (SELECT name FROM standby) AS standby,
       (SELECT behind_s FROM standby) AS behind_s,
       ARRAY(SELECT relid FROM pg_stat_progress_vacuum WHERE datname = current_database()) AS vacuumed
