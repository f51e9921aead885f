SELECT pg_stat_get_numscans($1)
           + coalesce((SELECT sum(pg_stat_get_numscans(indexrelid)) FROM pg_index WHERE indrelid = $1), 0)::int8
           AS scans,
       c.reltuples::float8 AS row_estimate
FROM pg_class c
WHERE c.oid = $1
