-- Keys, foreign keys and indexes, made after the rows are in; then the identity columns continue after them.
-- Some indexes are missing on purpose: src/planted.rs says which.

ALTER TABLE customers        ADD PRIMARY KEY (id);
ALTER TABLE quotes           ADD PRIMARY KEY (id);
ALTER TABLE policies         ADD PRIMARY KEY (id);
ALTER TABLE claims           ADD PRIMARY KEY (id);
ALTER TABLE payments         ADD PRIMARY KEY (id);
ALTER TABLE admin_users      ADD PRIMARY KEY (id);
ALTER TABLE admin_activity   ADD PRIMARY KEY (id);
ALTER TABLE analytics_events ADD PRIMARY KEY (id);

CREATE UNIQUE INDEX customers_email_key ON customers (email);
CREATE INDEX customers_name_index ON customers (last_name, first_name);
CREATE INDEX quotes_customer_index ON quotes (customer_id, created_at);
CREATE INDEX quotes_open_index ON quotes (expires_at) WHERE status = 'open';
CREATE UNIQUE INDEX policies_quote_key ON policies (quote_id);
CREATE INDEX policies_customer_index ON policies (customer_id, id);
CREATE INDEX claims_policy_index ON claims (policy_id);
CREATE INDEX claims_unsettled_index ON claims (filed_at) WHERE status IN ('filed', 'in_review');
CREATE INDEX payments_claim_index ON payments (claim_id) WHERE claim_id IS NOT NULL;
CREATE UNIQUE INDEX admin_users_email_key ON admin_users (email);
CREATE INDEX admin_activity_user_index ON admin_activity (admin_user_id, created_at);
CREATE INDEX analytics_events_customer_index ON analytics_events (customer_id) WHERE customer_id IS NOT NULL;

ALTER TABLE quotes           ADD FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE policies         ADD FOREIGN KEY (quote_id) REFERENCES quotes;
ALTER TABLE policies         ADD FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE claims           ADD FOREIGN KEY (policy_id) REFERENCES policies;
ALTER TABLE payments         ADD FOREIGN KEY (policy_id) REFERENCES policies;
ALTER TABLE payments         ADD FOREIGN KEY (claim_id) REFERENCES claims;
ALTER TABLE admin_activity   ADD FOREIGN KEY (admin_user_id) REFERENCES admin_users;
ALTER TABLE analytics_events ADD FOREIGN KEY (customer_id) REFERENCES customers;

SELECT setval(pg_get_serial_sequence('customers', 'id'), max(id)) FROM customers;
SELECT setval(pg_get_serial_sequence('quotes', 'id'), max(id)) FROM quotes;
SELECT setval(pg_get_serial_sequence('policies', 'id'), max(id)) FROM policies;
SELECT setval(pg_get_serial_sequence('claims', 'id'), max(id)) FROM claims;
SELECT setval(pg_get_serial_sequence('payments', 'id'), max(id)) FROM payments;
SELECT setval(pg_get_serial_sequence('admin_users', 'id'), max(id)) FROM admin_users;
SELECT setval(pg_get_serial_sequence('admin_activity', 'id'), max(id)) FROM admin_activity;
SELECT setval(pg_get_serial_sequence('analytics_events', 'id'), max(id)) FROM analytics_events;
