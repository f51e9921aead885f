-- What the insurer's own people did in each month, over the base tables.
SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month, action, entity,
       count(*) AS actions,
       count(DISTINCT admin_user_id) AS agents,
       sum((details ->> 'seconds')::bigint)::bigint AS seconds
FROM public.admin_activity
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
