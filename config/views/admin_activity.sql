-- What the insurer's own people did: by month, agent, action and what it was done to.
SELECT date_trunc('month', activity.created_at AT TIME ZONE 'UTC')::date AS month,
       activity.admin_user_id AS agent_id,
       activity.action,
       activity.entity,
       agent.role,
       count(*) AS actions,
       count(DISTINCT activity.entity_id) AS entities,
       sum((activity.details ->> 'seconds')::bigint) AS seconds,
       max(activity.created_at) AS last_at
FROM public.admin_activity AS activity
JOIN public.admin_users AS agent ON agent.id = activity.admin_user_id
GROUP BY 1, 2, 3, 4, 5
