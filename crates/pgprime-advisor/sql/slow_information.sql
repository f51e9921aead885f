SELECT /* pgprime: since when pg_stat_statements counts, and how often it has dropped entries */
    round(extract(epoch FROM stats_reset) * 1000000)::int8 AS reset_at,
    dealloc::int8 AS deallocations
FROM {schema}.pg_stat_statements_info
