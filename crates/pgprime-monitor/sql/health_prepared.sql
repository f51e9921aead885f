SELECT /* pgprime: transactions that were prepared for a second phase, oldest first */
    quote_literal(gid) AS id,
    database::text AS database,
    owner::text AS owner,
    extract(epoch FROM clock_timestamp() - prepared)::float8 AS age_s
FROM pg_prepared_xacts
ORDER BY prepared
LIMIT 20
