-- Notes that view $1 could not be refreshed because of $2.
UPDATE pgprime.view_states
SET attempt_at = NULL, failures = failures + 1, failed_at = clock_timestamp(), error = $2
WHERE view = $1
RETURNING failures
