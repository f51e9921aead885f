SELECT /* pgprime: texts of statements that were not met before */
    userid AS user_oid,
    dbid AS database_oid,
    queryid AS query_id,
    {toplevel|true} AS toplevel,
    query
FROM {schema}.pg_stat_statements(true)
WHERE queryid = ANY ($1)
