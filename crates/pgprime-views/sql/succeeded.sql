-- Notes a refresh of view $1 with oid $2: begun at $3, base counts $4, own scans $5.
INSERT INTO pgprime.view_states AS s
    (view, view_oid, refreshed_at, duration_ms, base, refreshes, spent_ms, scans_own)
VALUES ($1, $2, to_timestamp($3::float8 / 1000000::float8), extract(epoch FROM clock_timestamp())::float8 * 1000::float8 - $3::float8 / 1000::float8,
        $4::text::jsonb, 1, extract(epoch FROM clock_timestamp())::float8 * 1000::float8 - $3::float8 / 1000::float8, $5)
ON CONFLICT (view) DO UPDATE
SET view_oid = excluded.view_oid, refreshed_at = excluded.refreshed_at, unchanged_at = NULL,
    duration_ms = excluded.duration_ms, base = excluded.base, attempt_at = NULL, failures = 0, failed_at = NULL,
    error = NULL, refreshes = s.refreshes + 1, spent_ms = s.spent_ms + excluded.spent_ms,
    -- A view that was swapped counts its scans from nothing, and so do statistics that began anew.
    scans_first = CASE WHEN s.view_oid = excluded.view_oid AND (s.base IS NULL OR excluded.base IS NULL
                                OR (s.base ->> 'reset'::text = excluded.base ->> 'reset'::text
                                    AND coalesce(s.base ->> 'server'::text, '')
                                        IN ('', excluded.base ->> 'server'::text))) THEN s.scans_first ELSE 0 END,
    scans_own = excluded.scans_own
        + CASE WHEN s.view_oid = excluded.view_oid AND (s.base IS NULL OR excluded.base IS NULL
                    OR (s.base ->> 'reset'::text = excluded.base ->> 'reset'::text
                        AND coalesce(s.base ->> 'server'::text, '')
                            IN ('', excluded.base ->> 'server'::text))) THEN s.scans_own ELSE 0 END
