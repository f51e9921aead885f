SELECT q.id, c.id, q.premium, q.product, q.status, c.first_name, c.last_name, c.email, c.city, c.risk_class
FROM quotes q JOIN customers c ON c.id = q.customer_id WHERE q.id = $1
