-- What the insurer's own people did in each month.
SELECT month, action, entity,
       sum(actions)::bigint AS actions,
       count(DISTINCT agent_id) AS agents,
       sum(seconds)::bigint AS seconds
FROM admin.activity
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
