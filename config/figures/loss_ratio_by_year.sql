-- Premiums, claims and loss ratio by year and product.
SELECT extract(year FROM day)::integer AS year, product, sum(policies)::bigint AS policies,
       sum(premiums_written) AS written, sum(premiums_collected) AS collected,
       sum(claims_filed)::bigint AS claims, sum(claims_paid) AS paid,
       round(sum(claims_paid) / nullif(sum(premiums_collected), 0), 4) AS loss_ratio
FROM admin.daily_premiums
GROUP BY 1, 2
ORDER BY 1, 2
