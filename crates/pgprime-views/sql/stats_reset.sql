-- What counts belong to: when those of the database began, and which server, timeline and database they are of; another of
-- them has counts of its own. And whether some sessions' changes are not counted at all.
SELECT coalesce((extract(epoch FROM s.stats_reset)::float8 * 1000000::float8)::int8, 0) AS reset_micros,
       CASE WHEN pg_is_in_recovery() THEN 'standby'
            ELSE pg_catalog.concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
                           substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), s.datid) END AS server,
       current_setting('track_counts') = 'off'
           OR EXISTS (SELECT FROM pg_db_role_setting r, pg_catalog.unnest(r.setconfig) AS own
                      WHERE r.setdatabase IN ('0'::oid, s.datid)
                        AND own IN ('track_counts=off', 'track_counts=false', 'track_counts=no', 'track_counts=0'))
           AS is_uncounted
FROM pg_stat_database s
WHERE s.datname = current_database()
