-- Scans of a view, $1, that nobody but this session has seen yet: reported ones and those that are not.
SELECT sum(coalesce(pg_stat_get_numscans(oid), 0) + coalesce(pg_stat_get_xact_numscans(oid), 0))::int8 AS scans
FROM (SELECT $1 AS oid UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = $1) AS own
