SELECT /* pgprime: the tables that keep the oldest transaction ids */
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    age(c.relfrozenxid)::int8 AS transaction_age,
    mxid_age(c.relminmxid)::int8 AS multixact_age
FROM (
    SELECT relname, relnamespace, relfrozenxid, relminmxid
    FROM pg_class
    WHERE relkind IN ('r', 'm', 't') AND relfrozenxid <> '0'::xid
    ORDER BY age(relfrozenxid) DESC
    LIMIT 5
) c
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY transaction_age DESC
