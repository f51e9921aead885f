SELECT /* pgprime: the sessions with the longest statements, transactions and idle transactions */
    pid, username, database, application, client_address, state, wait_event, query, query_s, transaction_s, state_s
FROM (
    SELECT
        pid,
        usename::text AS username,
        datname::text AS database,
        application_name AS application,
        coalesce(host(client_addr), 'local') AS client_address,
        state,
        wait_event_type || ': ' || wait_event AS wait_event,
        left(query, 300) AS query,
        extract(epoch FROM clock_timestamp() - query_start)::float8 AS query_s,
        extract(epoch FROM clock_timestamp() - xact_start)::float8 AS transaction_s,
        extract(epoch FROM clock_timestamp() - state_change)::float8 AS state_s,
        row_number() OVER (PARTITION BY state = 'active' ORDER BY query_start) AS by_query,
        row_number() OVER (PARTITION BY state = 'active' ORDER BY state_change) AS by_state,
        row_number() OVER (ORDER BY xact_start NULLS LAST) AS by_transaction
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()
) session
WHERE least(by_query, by_state, by_transaction) <= 20
ORDER BY transaction_s DESC NULLS LAST
