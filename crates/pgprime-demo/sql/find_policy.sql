SELECT id, customer_id, status, coverage FROM policies WHERE id = $1
