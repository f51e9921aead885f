INSERT INTO claims (policy_id, cause, amount_asked, details)
VALUES ($1, 'collision', $2::numeric / 100, '{"channel": "phone"}') RETURNING id, policy_id
