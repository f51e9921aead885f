-- Premiums, claims and loss ratio by year and product, over the base tables.
WITH written AS (
    SELECT extract(year FROM created_at AT TIME ZONE 'UTC')::integer AS year, product,
           count(*) AS policies, sum(premium) AS amount
    FROM public.policies
    GROUP BY 1, 2
), moved AS (
    SELECT extract(year FROM m.created_at AT TIME ZONE 'UTC')::integer AS year, p.product,
           sum(m.amount) FILTER (WHERE m.kind = 'premium') AS collected,
           sum(m.amount) FILTER (WHERE m.kind = 'payout') AS paid
    FROM public.payments m
    JOIN public.policies p ON p.id = m.policy_id
    WHERE m.status = 'settled'
    GROUP BY 1, 2
), filed AS (
    SELECT extract(year FROM c.filed_at AT TIME ZONE 'UTC')::integer AS year, p.product, count(*) AS claims
    FROM public.claims c
    JOIN public.policies p ON p.id = c.policy_id
    GROUP BY 1, 2
)
SELECT year, product, coalesce(policies, 0) AS policies, coalesce(amount, 0.00) AS written,
       coalesce(collected, 0.00) AS collected, coalesce(claims, 0) AS claims, coalesce(paid, 0.00) AS paid,
       round(coalesce(paid, 0.00) / nullif(collected, 0), 4) AS loss_ratio
FROM written
FULL JOIN moved USING (year, product)
FULL JOIN filed USING (year, product)
ORDER BY 1, 2
