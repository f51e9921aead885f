SELECT /* pgprime: checkpoints by the clock and because of much WAL */
    num_timed::int8 AS timed,
    num_requested::int8 AS requested,
    extract(epoch FROM stats_reset)::float8 AS reset_s
FROM pg_stat_checkpointer
