SELECT /* pgprime: since when pg_stat_statements counts, and how many entries it has dropped */
    extract(epoch FROM clock_timestamp() - stats_reset)::float8 AS seconds,
    dealloc::int8 AS dropped
FROM {schema}.pg_stat_statements_info
