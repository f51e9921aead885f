-- The tables that the cases run on. Deterministic: the same rows on every server.
CREATE TABLE customers (id int PRIMARY KEY, email varchar(100) NOT NULL, region int NOT NULL, created_at timestamptz NOT NULL);
INSERT INTO customers
SELECT i, 'user' || i || '@example.com', i % 20, timestamptz '2024-01-01 00:00:00+00' + i * interval '1 minute'
FROM generate_series(1, 20000) AS i;
CREATE INDEX customers_email ON customers (email);
CREATE INDEX customers_created_at ON customers (created_at);

CREATE TABLE orders (
    id int PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, amount numeric NOT NULL,
    created_at timestamptz NOT NULL, comment text NOT NULL);
INSERT INTO orders
SELECT i, 1 + (i::bigint * 7919) % 20000, CASE WHEN i % 1000 = 0 THEN 'failed' ELSE 'done' END, (i % 977) + 0.25,
       timestamptz '2024-01-01 00:00:00+00' + i * interval '10 seconds', repeat('x', 40)
FROM generate_series(1, 100000) AS i;
CREATE INDEX orders_customer_id ON orders (customer_id);
CREATE INDEX orders_created_at ON orders (created_at);

-- The same without an index.
CREATE TABLE items (order_id int NOT NULL, product_id int NOT NULL, quantity int NOT NULL);
INSERT INTO items SELECT i, i % 500, 1 + i % 7 FROM generate_series(1, 20000) AS i;

-- Few rows.
CREATE TABLE regions (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO regions SELECT i, 'region ' || i FROM generate_series(0, 19) AS i;

-- Columns that depend on each other, which the planner multiplies as if they did not.
CREATE TABLE pairs (a int NOT NULL, b int NOT NULL, c int NOT NULL, padding text NOT NULL);
INSERT INTO pairs SELECT i % 50, i % 50, i % 50, 'p' FROM generate_series(1, 50000) AS i;

-- Foreign keys without an index on the side that refers.
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int PRIMARY KEY, parent_id int NOT NULL REFERENCES parents ON DELETE CASCADE);
INSERT INTO parents SELECT i FROM generate_series(1, 100) AS i;
INSERT INTO children SELECT i, 1 + i % 100 FROM generate_series(1, 20000) AS i;

-- Partitions, of which a query needs few.
CREATE TABLE events (id int NOT NULL, day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
INSERT INTO events SELECT i, date '2024-01-01' + i % 90 FROM generate_series(1, 3000) AS i;

-- Statistics of few wide rows, then many narrow ones.
CREATE TABLE stale (id int NOT NULL, padding text);
INSERT INTO stale SELECT i, repeat('x', 1900) FROM generate_series(1, 1000) AS i;
VACUUM ANALYZE stale;
INSERT INTO stale SELECT i FROM generate_series(1, 50000) AS i;

-- Nearly all rows dead, their pages still there; and an index that leads to them.
CREATE TABLE dead (id int NOT NULL, k int NOT NULL, padding text);
INSERT INTO dead SELECT i, i, repeat('x', 200) FROM generate_series(1, 50000) AS i;
CREATE INDEX dead_k ON dead (k);
VACUUM ANALYZE dead;
DELETE FROM dead WHERE id % 500 <> 0;
ANALYZE dead;

-- All rows written since the last vacuum.
CREATE TABLE unvacuumed (id int PRIMARY KEY, v int NOT NULL);
INSERT INTO unvacuumed SELECT i, i FROM generate_series(1, 20000) AS i;
ANALYZE unvacuumed;

VACUUM ANALYZE customers, orders, items, regions, pairs, parents, children, events;
