-- What is planted, and the problems that must be found in its plan: those after "shows" and no other.
-- "timing" names problems that depend on how fast the machine is: they hold for the plans kept here.
-- "options" replaces ANALYZE, BUFFERS; "versions" limits a case to some servers.

-- case: seq_scan_selective
-- shows: seq_scan_filter
EXPLAIN SELECT * FROM orders WHERE status = 'failed';

-- case: seq_scan_selective_estimated
-- options: VERBOSE
-- shows: seq_scan_filter
EXPLAIN SELECT * FROM orders WHERE amount = 976.25;

-- case: seq_scan_whole_table
-- shows:
EXPLAIN SELECT * FROM orders WHERE status = 'done';

-- case: seq_scan_small_table
-- shows:
EXPLAIN SELECT * FROM regions WHERE name = 'region 7';

-- case: index_scan_point
-- shows:
EXPLAIN SELECT * FROM orders WHERE id = 4711;

-- case: index_filters_most
-- shows: index_filter
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN SELECT * FROM orders WHERE created_at < '2024-01-04 00:00:00+00' AND status = 'failed';

-- case: bitmap_filters_most
-- shows: index_filter
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = off;
EXPLAIN SELECT * FROM orders WHERE created_at < '2024-01-04 00:00:00+00' AND status = 'failed';

-- case: index_range
-- shows:
SET LOCAL enable_seqscan = off;
EXPLAIN SELECT * FROM orders WHERE created_at < '2024-01-04 00:00:00+00';

-- case: estimate_off
-- shows: seq_scan_filter, row_estimate
EXPLAIN SELECT p.a, count(*) FROM pairs p JOIN regions r ON r.id = p.c WHERE p.a = 7 AND p.b = 7 AND p.c = 7 GROUP BY p.a;

-- case: estimate_limit
-- shows:
EXPLAIN SELECT * FROM orders LIMIT 10;

-- case: statistics_stale
-- shows: stale_statistics
EXPLAIN SELECT count(id) FROM stale;

-- case: sort_on_disk
-- shows: sort_on_disk
SET LOCAL work_mem = '1MB';
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN SELECT * FROM orders ORDER BY amount, id;

-- case: sort_in_memory
-- shows:
EXPLAIN SELECT * FROM items ORDER BY quantity, order_id;

-- case: hash_on_disk
-- shows: hash_on_disk
SET LOCAL work_mem = '256kB';
SET LOCAL hash_mem_multiplier = 1;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_nestloop = off;
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email <> o.comment;

-- case: hash_aggregate_on_disk
-- shows: hash_on_disk
SET LOCAL work_mem = '256kB';
SET LOCAL hash_mem_multiplier = 1;
SET LOCAL enable_sort = off;
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN SELECT customer_id, sum(quantity) FROM orders o JOIN items i ON i.order_id = o.id GROUP BY customer_id, o.id;

-- case: hash_in_memory
-- shows:
EXPLAIN SELECT count(*) FROM items i JOIN customers c ON c.id = i.order_id;

-- case: nested_loop_many
-- shows: nested_loop
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_memoize = off;
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN SELECT count(o.amount) FROM customers c JOIN orders o ON o.customer_id = c.id;

-- case: nested_loop_many_estimated
-- options: SETTINGS
-- shows: nested_loop
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_memoize = off;
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN SELECT count(o.amount) FROM customers c JOIN orders o ON o.customer_id = c.id;

-- case: nested_loop_few
-- shows:
EXPLAIN SELECT c.email, o.amount FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id BETWEEN 10 AND 20;

-- case: seq_scan_in_loop
-- shows: seq_scan_in_loop
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_material = off;
SET LOCAL enable_memoize = off;
EXPLAIN SELECT r.name, (SELECT max(quantity) FROM items i WHERE i.product_id = r.id) FROM regions r;

-- case: cartesian
-- shows: cartesian_product
EXPLAIN SELECT count(*) FROM regions r, customers c, (VALUES (1), (2)) AS v (x) WHERE c.region < 10;

-- case: offset_large
-- shows: large_offset
EXPLAIN SELECT * FROM orders ORDER BY created_at LIMIT 10 OFFSET 50000;

-- case: offset_large_estimated
-- options: COSTS
-- shows: large_offset
EXPLAIN SELECT * FROM orders ORDER BY created_at LIMIT 10 OFFSET 50000;

-- case: offset_small
-- shows:
EXPLAIN SELECT * FROM orders ORDER BY created_at LIMIT 10 OFFSET 20;

-- case: bitmap_lossy
-- shows: lossy_bitmap
SET LOCAL work_mem = '64kB';
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = off;
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN SELECT count(*) FROM orders WHERE customer_id < 9000;

-- case: bitmap_exact
-- shows:
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = off;
EXPLAIN SELECT count(amount) FROM orders WHERE customer_id < 100;

-- case: heap_fetches
-- shows: heap_fetches
SET LOCAL enable_seqscan = off;
EXPLAIN SELECT count(id) FROM unvacuumed WHERE id < 15000;

-- case: heap_fetches_none
-- shows:
EXPLAIN SELECT count(created_at) FROM orders WHERE created_at < '2024-01-03 00:00:00+00';

-- case: or_across_join
-- shows: late_filter
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email = 'user77@example.com' OR o.id = 12345;

-- case: or_in_scan
-- shows:
EXPLAIN SELECT * FROM orders WHERE id = 5 OR customer_id = 77;

-- case: order_limit_wrong_index
-- shows: order_by_limit
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN SELECT * FROM orders WHERE comment LIKE '%y%' OR id = 90000 ORDER BY created_at LIMIT 1;

-- case: order_limit_good_index
-- shows:
EXPLAIN SELECT * FROM orders WHERE amount > 3 ORDER BY created_at DESC LIMIT 20;

-- case: workers_missing
-- shows: workers_not_launched
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers = 0;
EXPLAIN SELECT count(*) FROM orders;

-- case: workers_launched
-- options: ANALYZE, VERBOSE, BUFFERS
-- shows:
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
EXPLAIN SELECT status, count(*), sum(amount) FROM orders JOIN customers c ON c.id = customer_id GROUP BY status ORDER BY 2;

-- case: jit
-- versions: 15
-- timing: jit
-- shows:
SET LOCAL jit_above_cost = 0;
SET LOCAL jit_optimize_above_cost = 0;
SET LOCAL jit_inline_above_cost = 0;
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN SELECT sum(quantity * product_id) FROM items WHERE quantity > 2;

-- case: trigger
-- timing: trigger_time
-- shows:
EXPLAIN DELETE FROM parents WHERE id <= 20;

-- case: planning
-- timing: planning_time
-- shows:
SET LOCAL join_collapse_limit = 12;
SET LOCAL geqo = off;
EXPLAIN SELECT 1 FROM regions a JOIN regions b USING (name) JOIN regions c USING (name) JOIN regions d USING (name)
JOIN regions e USING (name) JOIN regions f USING (name) JOIN regions g USING (name) JOIN regions h USING (name)
JOIN regions i USING (name) WHERE a.id = -1;

-- case: never_executed
-- shows: never_executed
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
EXPLAIN SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = 'nobody';

-- case: function_on_column
-- shows: seq_scan_filter, expression_on_column
EXPLAIN SELECT id FROM customers WHERE lower(email) = 'user7@example.com';

-- case: cast_on_column
-- shows: seq_scan_filter, expression_on_column
EXPLAIN SELECT id FROM customers WHERE created_at::date = '2024-01-02' AND region = 3;

-- case: cast_to_text
-- shows: seq_scan_filter, expression_on_column
EXPLAIN SELECT email FROM customers WHERE id::text = '77';

-- case: function_on_column_estimated
-- options: VERBOSE, COSTS
-- shows: seq_scan_filter, expression_on_column
EXPLAIN SELECT id FROM customers WHERE date_trunc('day', created_at) = '2024-01-02' AND region = 3;

-- case: function_on_constant
-- shows:
EXPLAIN SELECT id FROM customers WHERE email = lower('USER7@example.com') AND created_at < date_trunc('day', now());

-- case: temp_blocks
-- shows: temp_blocks
SET LOCAL work_mem = '64kB';
EXPLAIN SELECT count(*) FROM generate_series(1, 50000) AS g;

-- case: memoize_evictions
-- shows: memoize
SET LOCAL work_mem = '64kB';
SET LOCAL hash_mem_multiplier = 1;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN SELECT i.quantity, o.* FROM items i JOIN orders o ON o.id = i.product_id WHERE i.order_id < 9000;

-- case: memoize_hits
-- shows:
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
EXPLAIN SELECT count(r.name) FROM items i JOIN regions r ON r.id = i.quantity WHERE i.order_id < 3000;

-- case: subplan_correlated
-- shows: correlated_subplan
EXPLAIN SELECT c.id, (SELECT sum(o.amount) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.region < 4;

-- case: subplan_correlated_estimated
-- options: SUMMARY
-- shows: correlated_subplan
EXPLAIN SELECT c.id, (SELECT sum(o.amount) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.region < 4;

-- case: subplan_hashed
-- shows:
EXPLAIN SELECT id FROM customers WHERE id NOT IN (SELECT order_id FROM items WHERE quantity > 3);

-- case: cte_often
-- shows: cte_scans
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
EXPLAIN WITH big AS MATERIALIZED (SELECT order_id, quantity FROM items WHERE order_id < 2000)
SELECT r.id, (SELECT sum(quantity) FROM big WHERE big.order_id > r.id) FROM regions r;

-- case: cte_once
-- shows:
EXPLAIN WITH big AS MATERIALIZED (SELECT order_id, sum(quantity) AS q FROM items GROUP BY order_id)
SELECT count(*) FROM big;

-- case: initplan
-- shows:
EXPLAIN SELECT * FROM items WHERE quantity <= (SELECT avg(quantity) FROM items);

-- case: dead_rows
-- shows: dead_rows
EXPLAIN SELECT count(padding) FROM dead;

-- case: dead_index_entries
-- shows: dead_rows
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN SELECT count(padding) FROM dead WHERE k BETWEEN 1 AND 40000;

-- case: disabled
-- shows: disabled_node
SET LOCAL jit = off;
SET LOCAL enable_seqscan = off;
EXPLAIN SELECT count(*) FROM items;

-- case: partitions
-- shows:
EXPLAIN SELECT count(*) FROM events WHERE day >= '2024-02-15' AND id > 5;

-- case: write
-- options: ANALYZE, BUFFERS, WAL, VERBOSE
-- shows:
EXPLAIN INSERT INTO regions SELECT i, 'new' FROM generate_series(100, 200) AS i ON CONFLICT DO NOTHING;

-- case: quoted_names
-- shows:
CREATE TABLE "Odd ""Table""" ("Some Column" int, v int);
INSERT INTO "Odd ""Table""" SELECT i, i FROM generate_series(1, 100) AS i;
CREATE INDEX "Odd Index" ON "Odd ""Table""" ("Some Column");
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN SELECT * FROM "Odd ""Table""" AS "An Alias" WHERE "Some Column" = 5 AND v > 3;

-- case: many_shapes
-- options: ANALYZE, BUFFERS, VERBOSE, SETTINGS
-- shows:
EXPLAIN SELECT x.region, x.n, row_number() OVER (ORDER BY x.n)
FROM (SELECT region, count(*) AS n FROM customers GROUP BY GROUPING SETS ((region), ()) UNION ALL SELECT 1, 2
      UNION ALL (SELECT id, 1 FROM regions EXCEPT SELECT 3, 1)) AS x
WHERE x.n = ANY (ARRAY[1, 2, 1000]) AND EXISTS (SELECT 1 FROM regions WHERE regions.id = x.region);

-- case: no_timing
-- options: ANALYZE, TIMING OFF, COSTS OFF, SUMMARY OFF
-- shows:
EXPLAIN SELECT * FROM regions r JOIN customers c ON c.id = r.id ORDER BY r.name LIMIT 3;

-- case: serialize
-- versions: 18
-- options: ANALYZE, BUFFERS, SERIALIZE, MEMORY, SETTINGS, WAL
-- shows:
EXPLAIN SELECT id FROM orders ORDER BY id LIMIT 1000;
