-- Quotes and conversion by month and product, over the base tables.
SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month, product,
       count(*) AS quotes,
       count(*) FILTER (WHERE status = 'bound') AS bound,
       round(count(*) FILTER (WHERE status = 'bound')::numeric / count(*), 4) AS conversion,
       round(sum(premium) / count(*), 2) AS premium_average,
       count(*) FILTER (WHERE coalesce(details ->> 'channel', 'unknown') IN ('web', 'app')) AS online
FROM public.quotes
GROUP BY 1, 2
ORDER BY 1, 2
