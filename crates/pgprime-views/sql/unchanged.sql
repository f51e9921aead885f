-- Notes that view $1 with oid $2 is up to date, as of $3.
UPDATE pgprime.view_states
SET unchanged_at = greatest(unchanged_at, to_timestamp($3::float8 / 1000000::float8)), skips = skips + 1
WHERE view = $1 AND view_oid = $2
