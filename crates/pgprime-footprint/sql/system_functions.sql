-- PostgreSQL's own functions: names, numbers of arguments and volatility.
SELECT /* pgprime */ p.proname::text AS name, (p.pronargs - p.pronargdefaults)::int4 AS arguments_min, p.pronargs::int4 AS arguments_max,
       p.provariadic <> 0 AS is_variadic,
       max(CASE
           -- Behind AT TIME ZONE; versions before 15 call one of them volatile that is no more than stable.
           WHEN p.proname = 'timezone' AND p.provolatile = 'v' THEN 1
           WHEN p.provolatile = 'v' THEN 2
           WHEN p.provolatile = 's' THEN 1
           ELSE 0
       END)::int4 AS volatility
FROM pg_proc p
WHERE p.pronamespace = 'pg_catalog'::regnamespace
GROUP BY 1, 2, 3, 4
