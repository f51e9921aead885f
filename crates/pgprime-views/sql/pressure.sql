SELECT (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid())::float8
           / current_setting('max_connections')::float8 AS active_share,
       ARRAY(SELECT relid FROM pg_stat_progress_vacuum
             WHERE datname = current_database()) AS vacuumed
