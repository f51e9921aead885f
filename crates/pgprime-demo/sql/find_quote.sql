SELECT id, customer_id, premium, product, status, coverage, deductible, details, created_at, expires_at
FROM quotes WHERE id = $1
