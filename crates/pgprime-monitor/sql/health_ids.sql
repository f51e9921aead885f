SELECT /* pgprime: how old the oldest transaction and multixact ids of each database are */
    datname::text AS name,
    age(datfrozenxid)::int8 AS transaction_age,
    mxid_age(datminmxid)::int8 AS multixact_age,
    datallowconn AS allows_connections
FROM pg_database
ORDER BY greatest(age(datfrozenxid), mxid_age(datminmxid)) DESC, datname
LIMIT 20
