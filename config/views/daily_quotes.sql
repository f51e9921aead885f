-- Quotes by day, product and channel: how many were asked for, how many became policies, and at what premium.
SELECT (quotes.created_at AT TIME ZONE 'UTC')::date AS day,
       quotes.product,
       coalesce(quotes.details ->> 'channel', 'unknown') AS channel,
       count(*) AS quotes,
       count(*) FILTER (WHERE quotes.status = 'bound') AS bound,
       count(*) FILTER (WHERE quotes.status = 'declined') AS declined,
       count(*) FILTER (WHERE quotes.status = 'open') AS open,
       round(count(*) FILTER (WHERE quotes.status = 'bound')::numeric / count(*), 4) AS conversion,
       round(avg(quotes.premium), 2) AS premium_average,
       -- Sums, because averages of days do not add up to the average of a month.
       sum(quotes.premium) AS premium_quoted,
       coalesce(sum(quotes.premium) FILTER (WHERE quotes.status = 'bound'), 0) AS premium_bound
FROM public.quotes
GROUP BY 1, 2, 3
