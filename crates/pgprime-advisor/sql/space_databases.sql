SELECT /* pgprime: how old the oldest transaction and multixact ids of each database are */
    datname::text AS name,
    quote_ident(datname) AS quoted,
    datname = current_database() AS is_own,
    age(datfrozenxid)::int8 AS transaction_age,
    mxid_age(datminmxid)::int8 AS multixact_age
FROM pg_database
ORDER BY age(datfrozenxid) DESC, datname
