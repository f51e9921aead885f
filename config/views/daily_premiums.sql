-- Premiums by day and product: written with new policies, collected, and paid out again for claims.
SELECT moved.day,
       moved.product,
       sum(moved.policies) AS policies,
       sum(moved.written) AS premiums_written,
       sum(moved.collected) AS premiums_collected,
       sum(moved.claims) AS claims_filed,
       sum(moved.paid) AS claims_paid,
       -- Of the premiums collected; over longer times it is the ratio of the sums.
       round(sum(moved.paid) / nullif(sum(moved.collected), 0), 4) AS loss_ratio
FROM (
    SELECT (policies.created_at AT TIME ZONE 'UTC')::date AS day, policies.product,
           1 AS policies, policies.premium AS written, 0.00 AS collected, 0 AS claims, 0.00 AS paid
    FROM public.policies
    UNION ALL
    SELECT (payments.created_at AT TIME ZONE 'UTC')::date, policies.product,
           0, 0.00,
           CASE WHEN payments.kind = 'premium' THEN payments.amount ELSE 0.00 END,
           0,
           CASE WHEN payments.kind = 'payout' THEN payments.amount ELSE 0.00 END
    FROM public.payments
    JOIN public.policies ON policies.id = payments.policy_id
    WHERE payments.status = 'settled'
    UNION ALL
    SELECT (claims.filed_at AT TIME ZONE 'UTC')::date, policies.product, 0, 0.00, 0.00, 1, 0.00
    FROM public.claims
    JOIN public.policies ON policies.id = claims.policy_id
) AS moved
GROUP BY moved.day, moved.product
