-- What is known of views; $1 the name, or all.
SELECT view, view_oid,
       (extract(epoch FROM refreshed_at)::float8 * 1000000::float8)::int8 AS refreshed_at,
       (extract(epoch FROM unchanged_at)::float8 * 1000000::float8)::int8 AS unchanged_at,
       (extract(epoch FROM failed_at)::float8 * 1000000::float8)::int8 AS failed_at,
       -- A refresh that was begun a while ago, and whose lock nobody else holds, was killed.
       attempt_at < clock_timestamp() - interval '1 second' AND NOT EXISTS (
           SELECT FROM pg_locks l
           WHERE l.locktype = 'advisory' AND l.pid <> pg_backend_pid()
             AND l.classid = $2::int8::oid AND l.objid::int8 = (hashtext(view)::int8 & 4294967295)
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       ) AS is_interrupted,
       (extract(epoch FROM attempt_at)::float8 * 1000000::float8)::int8 AS attempt_at,
       duration_ms, failures, error, base::text AS base, refreshes, skips, spent_ms, scans_first, scans_own
FROM pgprime.view_states
WHERE $1::text IS NULL OR view = $1
