WITH /* pgprime: service times of this database's statements, pooled by kind within the server; no text leaves it */
    entries AS (
    SELECT
        calls::float8 AS calls,
        total_exec_time AS total_ms,
        mean_exec_time AS mean_ms,
        stddev_exec_time AS stddev_ms,
        queryid IS NULL AS is_hidden,
        regexp_replace(
            -- White space, comments and opening parentheses at the start, then the frame of PREPARE.
            regexp_replace(query, '^(?:\s|\(|--[^\n]*\n|/\*(?:[^*]|\*+[^*/])*\*+/)+', ''),
            '^prepare\s+\S+(?:\s*\([^)]*\))?\s+as\s+', '', 'i'
        ) AS query
    FROM {schema}.pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND calls > 0
        AND {toplevel}
        AND query NOT LIKE '%/* pgprime%'
), kinds AS (
    SELECT
        calls, total_ms, mean_ms, stddev_ms,
        mean_ms > $1 AS is_long,
        CASE
            WHEN is_hidden THEN 'hidden'
            WHEN query ~* '^(?:select|table|values|with)\M'
                AND query !~* '\mfor\s+(?:no\s+key\s+update|update|key\s+share|share)\M'
                AND query !~* '^with\M.*\m(?:insert\s+into|update|delete\s+from|merge\s+into)\M'
                THEN 'read'
            WHEN query ~* '^(?:select|table|values|with|insert|update|delete|merge|call|do)\M' THEN 'write'
            ELSE 'utility'
        END AS kind
    FROM entries
), means AS (
    SELECT *, sum(total_ms) OVER same / sum(calls) OVER same AS pooled_mean_ms
    FROM kinds
    WINDOW same AS (PARTITION BY kind, is_long)
)
SELECT
    kind,
    is_long,
    count(*)::int8 AS statements,
    sum(calls)::float8 AS calls,
    max(pooled_mean_ms)::float8 AS mean_ms,
    -- Variance within the statements and between their means.
    (sum(calls * (stddev_ms * stddev_ms + (mean_ms - pooled_mean_ms) * (mean_ms - pooled_mean_ms)))
        / sum(calls))::float8 AS variance
FROM means
GROUP BY kind, is_long
