INSERT INTO quotes (customer_id, product, coverage, deductible, premium, details)
VALUES ($1, 'car', 25000.00, 500.00, $2::numeric / 100, '{"channel": "web"}') RETURNING id, customer_id
