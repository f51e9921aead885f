UPDATE quotes SET status = 'bound' WHERE id = $1 AND status = 'open' RETURNING id, customer_id
