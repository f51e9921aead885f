SELECT /* pgprime: all counters without the texts; of the names in braces the first that this version has is taken */
    s.userid AS user_oid,
    s.dbid AS database_oid,
    s.queryid AS query_id,
    {toplevel|true} AS toplevel,
    r.rolname::text AS role,
    d.datname::text AS database,
    round(extract(epoch FROM {stats_since|NULL::timestamptz}) * 1000000)::int8 AS stats_since,
    round(extract(epoch FROM {minmax_stats_since|NULL::timestamptz}) * 1000000)::int8 AS minmax_since,
    s.min_exec_time AS min_ms,
    s.max_exec_time AS max_ms,
    s.calls::float8 AS calls,
    s.plans::float8 AS plans,
    s.total_plan_time AS plan_ms,
    s.total_exec_time AS exec_ms,
    s.calls * (s.stddev_exec_time * s.stddev_exec_time + s.mean_exec_time * s.mean_exec_time) AS exec_ms_squares,
    s.rows::float8 AS rows,
    s.shared_blks_hit::float8 AS shared_hit_blocks,
    s.shared_blks_read::float8 AS shared_read_blocks,
    s.shared_blks_dirtied::float8 AS shared_dirtied_blocks,
    s.shared_blks_written::float8 AS shared_written_blocks,
    s.local_blks_hit::float8 AS local_hit_blocks,
    s.local_blks_read::float8 AS local_read_blocks,
    s.local_blks_dirtied::float8 AS local_dirtied_blocks,
    s.local_blks_written::float8 AS local_written_blocks,
    s.temp_blks_read::float8 AS temp_read_blocks,
    s.temp_blks_written::float8 AS temp_written_blocks,
    ({shared_blk_read_time|blk_read_time|0} + {local_blk_read_time|0})::float8 AS read_ms,
    ({shared_blk_write_time|blk_write_time|0} + {local_blk_write_time|0})::float8 AS write_ms,
    {temp_blk_read_time|0}::float8 AS temp_read_ms,
    {temp_blk_write_time|0}::float8 AS temp_write_ms,
    s.wal_records::float8 AS wal_records,
    s.wal_fpi::float8 AS wal_page_images,
    s.wal_bytes::float8 AS wal_bytes,
    {jit_functions|0}::float8 AS jit_functions,
    (
        {jit_generation_time|0} + {jit_inlining_time|0} + {jit_optimization_time|0} + {jit_emission_time|0}
        + {jit_deform_time|0}
    )::float8 AS jit_ms,
    {parallel_workers_to_launch|0}::float8 AS parallel_workers_planned,
    {parallel_workers_launched|0}::float8 AS parallel_workers_launched
FROM {schema}.pg_stat_statements(false) s
LEFT JOIN pg_roles r ON r.oid = s.userid
LEFT JOIN pg_database d ON d.oid = s.dbid
