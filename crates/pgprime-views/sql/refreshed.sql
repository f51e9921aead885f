-- What this session has done to the view, $1, and not reported yet, which may be more than this transaction did.
SELECT pg_catalog.pg_total_relation_size($1) AS bytes,
       coalesce(pg_stat_get_xact_tuples_inserted($1), 0) AS inserted,
       coalesce(pg_stat_get_xact_tuples_deleted($1), 0) AS deleted,
       coalesce(pg_stat_get_xact_numscans($1), 0)
           + coalesce((SELECT sum(pg_stat_get_xact_numscans(indexrelid)) FROM pg_index WHERE indrelid = $1), 0)::int8
           AS scans
