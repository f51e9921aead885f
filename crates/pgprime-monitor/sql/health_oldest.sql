SELECT /* pgprime: the tables that keep the oldest transaction and multixact ids */
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    c.transaction_age,
    c.multixact_age
FROM (
    SELECT relname, relnamespace,
        age(relfrozenxid)::int8 AS transaction_age,
        mxid_age(relminmxid)::int8 AS multixact_age,
        row_number() OVER (ORDER BY age(relfrozenxid) DESC) AS by_transactions,
        row_number() OVER (ORDER BY mxid_age(relminmxid) DESC) AS by_multixacts
    FROM pg_class
    WHERE relkind IN ('r', 'm', 't') AND relfrozenxid <> '0'::xid
) c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.by_transactions <= 5 OR c.by_multixacts <= 5
ORDER BY c.transaction_age DESC
