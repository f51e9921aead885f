SELECT view, (extract(epoch FROM started_at)::float8 * 1000000::float8)::int8 AS started_at,
       (extract(epoch FROM finished_at - started_at)::float8 * 1000::float8)::float8 AS duration_ms,
       ok, reason, is_concurrent, error, view_rows, bytes, rows_changed, base_changes
FROM pgprime.view_refreshes
WHERE $1::text IS NULL OR view = $1
ORDER BY id DESC
LIMIT $2
