-- The database itself, one figure a row. What it says is of the moment of its last refresh.
-- A role without pg_read_all_stats (or pg_monitor) does not see what others' sessions are doing.
SELECT 'sessions' AS metric, known.state AS label, count(activity.pid)::float8 AS value
FROM (VALUES ('active'), ('idle'), ('idle in transaction'), ('idle in transaction (aborted)')) AS known (state)
LEFT JOIN pg_catalog.pg_stat_activity AS activity
       ON activity.state = known.state
      AND activity.datname = current_database()
      AND activity.backend_type = 'client backend'
GROUP BY known.state
UNION ALL
SELECT 'sessions', 'waiting for a lock', count(*)::float8
FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
UNION ALL
SELECT 'age_seconds', 'oldest transaction',
       coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0)::float8
FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
UNION ALL
SELECT figure.metric, figure.label, figure.value
FROM pg_catalog.pg_stat_database AS base
CROSS JOIN LATERAL (VALUES
    ('ratio', 'blocks found in memory', coalesce(base.blks_hit / nullif(base.blks_hit + base.blks_read, 0)::float8, 1)),
    ('transactions', 'committed', base.xact_commit::float8),
    ('transactions', 'rolled back', base.xact_rollback::float8),
    ('transactions', 'deadlocks', base.deadlocks::float8),
    ('bytes', 'written to temporary files', base.temp_bytes::float8),
    ('bytes', 'database', pg_database_size(base.datid)::float8)
) AS figure (metric, label, value)
WHERE base.datname = current_database()
UNION ALL
SELECT 'rows', 'dead', coalesce(sum(n_dead_tup), 0)::float8
FROM pg_catalog.pg_stat_user_tables
