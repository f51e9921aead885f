INSERT INTO policies (quote_id, customer_id, product, premium, coverage)
SELECT id, customer_id, product, premium, coverage FROM quotes WHERE id = $1 RETURNING id, quote_id
