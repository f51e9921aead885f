SELECT /* pgprime: sums of all statements, and those of which an execution was slow */
    coalesce(sum(s.calls), 0)::float8 AS calls,
    coalesce(sum(s.total_exec_time), 0)::float8 AS exec_ms,
    count(*) FILTER (WHERE s.queryid IS NULL)::int8 AS hidden,
    {reset} AS reset_s,
    coalesce(array_agg(s.userid::int8) FILTER (WHERE s.max_exec_time >= $1), '{}') AS slow_users,
    coalesce(array_agg(coalesce(s.queryid, 0)) FILTER (WHERE s.max_exec_time >= $1), '{}') AS slow_ids,
    coalesce(array_agg(s.calls::float8) FILTER (WHERE s.max_exec_time >= $1), '{}') AS slow_calls,
    coalesce(array_agg(s.total_exec_time) FILTER (WHERE s.max_exec_time >= $1), '{}') AS slow_ms,
    coalesce(array_agg(s.max_exec_time) FILTER (WHERE s.max_exec_time >= $1), '{}') AS slow_ms_max
FROM {schema}.pg_stat_statements(false) s
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND {toplevel}
