INSERT INTO pgprime.view_refreshes
    (view, started_at, finished_at, ok, reason, is_concurrent, error, view_rows, bytes, rows_changed, base_changes)
VALUES ($1, to_timestamp($2::float8 / 1000000::float8), clock_timestamp(), $3, $4, $5, $6, $7, $8, $9, $10)
