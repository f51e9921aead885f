-- The table of the benchmark: one row per key, found by primary key.
CREATE TABLE accounts (id integer PRIMARY KEY, balance integer NOT NULL, filler text NOT NULL);
INSERT INTO accounts SELECT i, i * 7 + 3, repeat('x', 84) FROM generate_series(1, 100000) AS i;
