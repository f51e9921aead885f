SELECT /* pgprime: how many sessions are in which state; what others do, a role without pg_monitor does not see */
    count(*) FILTER (WHERE is_client)::int8 AS used,
    count(*) FILTER (WHERE is_client AND state = 'active')::int8 AS active,
    count(*) FILTER (WHERE is_client AND state = 'idle')::int8 AS idle,
    count(*) FILTER (WHERE is_client AND state LIKE 'idle in transaction%')::int8 AS idle_in_transaction,
    count(*) FILTER (
        WHERE is_client AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - interval '5 s'
    )::int8 AS idle_in_transaction_long,
    count(*) FILTER (WHERE is_client AND state IS NULL)::int8 AS hidden,
    count(*) FILTER (WHERE wait_event_type = 'Lock')::int8 AS lock_waiting,
    count(*) FILTER (WHERE backend_type = 'autovacuum worker')::int8 AS autovacuum_workers
FROM (
    SELECT state, state_change, wait_event_type, backend_type,
        coalesce(backend_type = 'client backend', datid IS NOT NULL) AS is_client
    FROM pg_stat_activity
) session
