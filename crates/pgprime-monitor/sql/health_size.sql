SELECT /* pgprime: how large this database is, and where else the server keeps data */
    pg_database_size(current_database())::int8 AS bytes,
    ARRAY(
        SELECT location FROM (SELECT pg_tablespace_location(oid) AS location FROM pg_tablespace) place
        WHERE location <> '' LIMIT 20
    ) AS places
