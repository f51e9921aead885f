-- The text of a statement. {schema}: that of pg_stat_statements; $1: the statement's number. Where the role may not see
-- statements of others, their numbers are hidden as well: one of those is the answer when none has this number.
SELECT /* pgprime */ statement.query
FROM {schema}.pg_stat_statements AS statement
JOIN pg_catalog.pg_database AS database ON database.oid = statement.dbid
WHERE database.datname = current_database() AND (statement.queryid = $1::int8 OR statement.queryid IS NULL)
ORDER BY statement.queryid NULLS LAST
LIMIT 1
