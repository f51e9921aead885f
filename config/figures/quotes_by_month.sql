-- Quotes and conversion by month and product.
SELECT date_trunc('month', day::timestamp)::date AS month, product,
       sum(quotes)::bigint AS quotes,
       sum(bound)::bigint AS bound,
       round(sum(bound) / sum(quotes), 4) AS conversion,
       round(sum(premium_quoted) / sum(quotes), 2) AS premium_average,
       coalesce(sum(quotes) FILTER (WHERE channel IN ('web', 'app')), 0)::bigint AS online
FROM admin.daily_quotes
GROUP BY 1, 2
ORDER BY 1, 2
