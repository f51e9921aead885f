SELECT id, customer_id, product, status, premium, starts_on, ends_on
FROM policies WHERE customer_id = $1 AND id > $2 ORDER BY id LIMIT 20
