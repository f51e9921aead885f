-- Notes that a refresh of view $1, with oid $2, begins; an earlier one that was killed is a failure. $3: it was.
INSERT INTO pgprime.view_states AS s (view, view_oid, attempt_at, failures, failed_at, error, scans_first)
VALUES ($1, $2, clock_timestamp(), 0, NULL, NULL,
        pg_stat_get_numscans($2) + coalesce((SELECT sum(pg_stat_get_numscans(indexrelid)) FROM pg_index
                                             WHERE indrelid = $2), 0)::int8)
ON CONFLICT (view) DO UPDATE
SET failures = s.failures + CASE WHEN $3 THEN 1 ELSE 0 END,
    failed_at = CASE WHEN $3 THEN s.attempt_at ELSE s.failed_at END,
    error = CASE WHEN $3 THEN 'interrupted: the refresh was killed before its end' ELSE s.error END,
    attempt_at = clock_timestamp(),
    -- Made anew by hand: what was known was of another view.
    refreshed_at = CASE WHEN s.view_oid = $2 THEN s.refreshed_at END,
    unchanged_at = CASE WHEN s.view_oid = $2 THEN s.unchanged_at END,
    base = CASE WHEN s.view_oid = $2 THEN s.base END,
    view_oid = $2
