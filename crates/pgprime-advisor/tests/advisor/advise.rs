//! Advice on planted workloads, with HypoPG where the server has it and without.

use pgprime_advisor::indexes::{
    Advice, AdviceOptions, Confidence, CostMethod, IndexesError, Suggestion, Workload, WorkloadQuery, advise,
    for_statement, text,
};
use pgprime_cluster::Node;
use tokio_postgres::Client;

use crate::space::{connect, database};

/// Orders and customers as an application has them, without the indexes that its statements lack.
const SHOP: &str = "
    CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL, name text NOT NULL, data jsonb NOT NULL);
    INSERT INTO customers SELECT i, 'User' || i || '@example.com', 'name ' || md5(i::text), jsonb_build_object('tag', i % 2000)
        FROM generate_series(1, 20000) i;
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, total numeric NOT NULL,
        created_at timestamptz NOT NULL, note text);
    INSERT INTO orders SELECT i, 1 + (i * 7919) % 20000, CASE WHEN i % 200 = 0 THEN 'open' ELSE 'done' END, i % 500,
        '2026-01-01'::timestamptz + ((i * 31) % 100000) * interval '1 minute', repeat('x', 60)
        FROM generate_series(1, 100000) i;
    CREATE TABLE events (id bigserial PRIMARY KEY, kind int NOT NULL, counter int NOT NULL, payload text);
    INSERT INTO events (kind, counter, payload) SELECT i % 50000, 0, repeat('y', 40) FROM generate_series(1, 50000) i;
    CREATE TABLE tiny (id int, name text);
    INSERT INTO tiny SELECT i, 'n' || i FROM generate_series(1, 100) i;";

/// A database with these tables, read by the planner; with HypoPG where the server has it.
async fn shop(prefix: &str) -> (&'static Node, String, Client, bool) {
    let (node, database) = database(prefix);
    node.psql(&database, SHOP).unwrap();
    node.psql(&database, "VACUUM ANALYZE").unwrap();
    let has_hypopg = node.psql(&database, "CREATE EXTENSION hypopg").is_ok();
    let client = connect(node, &database, "postgres").await;
    (node, database, client, has_hypopg)
}

fn workload(queries: &[(&str, f64)]) -> Workload {
    let query = |(place, (text, weight)): (usize, &(&str, f64))| WorkloadQuery {
        id: format!("q{place}"),
        text: (*text).to_owned(),
        weight: *weight,
        ..WorkloadQuery::default()
    };
    Workload { queries: queries.iter().enumerate().map(query).collect(), seconds: Some(3_600.0) }
}

/// Methods to test with: the planner, where it can be asked, and our own estimate.
fn methods(has_hypopg: bool) -> Vec<(CostMethod, AdviceOptions)> {
    let estimated = AdviceOptions { uses_hypopg: false, ..AdviceOptions::default() };
    let mut methods = vec![(CostMethod::Estimated, estimated)];
    if has_hypopg {
        methods.push((CostMethod::Hypopg, AdviceOptions::default()));
    }
    methods
}

/// `table (keys)` of each, without schemas.
fn on(suggestion: &Suggestion) -> String {
    format!("{} ({})", suggestion.table, suggestion.keys.join(", ")).replace("public.", "")
}

fn all_on(advice: &Advice) -> Vec<String> {
    advice.suggestions.iter().map(on).collect()
}

#[tokio::test]
async fn each_kind_of_statement_gets_its_index() {
    let (_, _, client, has_hypopg) = shop("kinds").await;
    for (statement, expected, gain_min) in [
        ("SELECT * FROM orders WHERE customer_id = 42", "orders (customer_id)", 0.9),
        (
            "SELECT * FROM orders WHERE status = 'open' AND created_at >= '2026-03-01' AND created_at < '2026-03-02'",
            "orders (",
            0.9,
        ),
        ("SELECT * FROM orders ORDER BY created_at DESC LIMIT 10", "orders (created_at)", 0.9),
        (
            "SELECT id FROM customers WHERE lower(email) = 'user77@example.com'",
            "customers (lower(email))",
            0.6,
        ),
        ("SELECT id FROM customers WHERE email LIKE 'User777%'", "customers (email", 0.9),
        ("SELECT max(created_at) FROM orders", "orders (created_at)", 0.9),
        (
            "SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id IN (5, 6)",
            "orders (customer_id)",
            0.9,
        ),
        ("SELECT id FROM customers WHERE data @> '{\"tag\": 7}'", "customers (data)", 0.5),
        ("UPDATE orders SET note = 'z' WHERE customer_id = 42", "orders (customer_id)", 0.9),
    ] {
        for (method, options) in methods(has_hypopg) {
            let advice = for_statement(&client, statement, &[], &options).await.unwrap();
            assert_eq!(advice.method, method);
            let found = all_on(&advice);
            assert!(
                found.len() == 1 && found[0].starts_with(expected),
                "{method:?}: {found:?} for {statement}\n{}",
                text(&advice)
            );
            assert!(advice.saved_share >= gain_min, "{method:?}: {} for {statement}", advice.saved_share);
            let one = &advice.suggestions[0];
            let is_estimate = method == CostMethod::Estimated || one.access_method == "gin";
            assert_eq!(one.confidence == Confidence::Low, is_estimate, "{one:?}");
            assert!(one.statements[0].starts_with("CREATE INDEX CONCURRENTLY "), "{one:?}");
            assert_eq!(one.undo, format!("DROP INDEX CONCURRENTLY public.{};", one.name));
        }
    }
}

#[tokio::test]
async fn nothing_is_proposed_that_exists_or_does_not_help() {
    let (node, database, client, has_hypopg) = shop("served").await;
    node.psql(
        &database,
        "CREATE INDEX ON orders (customer_id, created_at); CREATE INDEX ON customers (lower(email))",
    )
    .unwrap();
    for statement in [
        "SELECT * FROM orders WHERE customer_id = 42",
        "SELECT * FROM orders WHERE id = 7",
        "SELECT id FROM customers WHERE lower(email) = 'user77@example.com'",
        "SELECT * FROM orders WHERE status = 'done'",
        "SELECT sum(total) FROM orders",
        "SELECT * FROM tiny WHERE id = 7",
        "SELECT 1",
        "SELECT * FROM pg_class WHERE relname = 'x'",
        "INSERT INTO events (kind, counter) VALUES (1, 2)",
    ] {
        for (method, options) in methods(has_hypopg) {
            let advice = for_statement(&client, statement, &[], &options).await.unwrap();
            let wide = all_on(&advice);
            assert!(wide.is_empty(), "{method:?}: {wide:?} for {statement}\n{}", text(&advice));
        }
    }
}

const MIX: &[(&str, f64)] = &[
    ("SELECT * FROM orders WHERE customer_id = $1", 1_000.0),
    ("SELECT * FROM orders WHERE customer_id = $1 ORDER BY created_at DESC LIMIT 20", 500.0),
    ("SELECT count(*) FROM orders WHERE status = $1 AND created_at > $2", 50.0),
    ("SELECT id FROM customers WHERE lower(email) = $1", 300.0),
    ("SELECT counter FROM events WHERE kind = $1", 200.0),
    ("UPDATE orders SET status = $1 WHERE id = $2", 100.0),
    ("INSERT INTO orders VALUES ($1, $2, $3, $4, $5, $6)", 100.0),
];

#[tokio::test]
async fn a_workload_with_parameters_within_a_budget() {
    let (node, database, client, has_hypopg) = shop("mix").await;
    for (method, options) in methods(has_hypopg) {
        let advice = advise(&client, &workload(MIX), &options).await.unwrap();
        assert_eq!((advice.method, advice.skipped.len(), advice.queries.len()), (method, 0, MIX.len()));
        let found = all_on(&advice);
        assert!(found.iter().any(|on| on.starts_with("orders (customer_id")), "{found:?}");
        assert!(found.iter().any(|on| on == "customers (lower(email))"), "{found:?}");
        assert!(found.iter().any(|on| on.starts_with("events (kind")), "{found:?}");
        assert!(advice.saved_share > 0.8, "{}", text(&advice));
        let sum: u64 = advice.suggestions.iter().map(|one| one.size_bytes).sum();
        assert_eq!(advice.size_bytes, sum);
        // Half of that: fewer, and never more than it may take.
        let budget = AdviceOptions { budget_bytes: Some(sum / 2), ..options.clone() };
        let half = advise(&client, &workload(MIX), &budget).await.unwrap();
        assert!(!half.suggestions.is_empty() && half.size_bytes <= sum / 2, "{}", text(&half));
        assert!(half.cost_after >= advice.cost_after);
        let none = AdviceOptions { budget_bytes: Some(8_192), ..options.clone() };
        assert!(advise(&client, &workload(MIX), &none).await.unwrap().suggestions.is_empty());
        let one = AdviceOptions { indexes_max: 1, ..options };
        assert_eq!(advise(&client, &workload(MIX), &one).await.unwrap().suggestions.len(), 1);
    }
    // Nothing has become of it.
    assert_eq!(
        node.psql(&database, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'").unwrap(),
        "3"
    );
    if has_hypopg {
        let left = client.query_one("SELECT count(*) FROM hypopg()", &[]).await.unwrap();
        assert_eq!(left.get::<_, i64>(0), 0);
    }
}

/// What the planner was believed to say is what it says once the indexes exist.
#[tokio::test]
async fn predicted_costs_come_true() {
    let (node, database, client, has_hypopg) = shop("true").await;
    for (method, options) in methods(has_hypopg) {
        let constant: Vec<(&str, f64)> = vec![
            ("SELECT * FROM orders WHERE customer_id = 42", 100.0),
            ("SELECT * FROM orders WHERE customer_id = 42 ORDER BY created_at DESC LIMIT 20", 100.0),
            ("SELECT id FROM customers WHERE lower(email) = 'user77@example.com'", 10.0),
            ("SELECT count(*) FROM orders WHERE status = 'open'", 10.0),
        ];
        let advice = advise(&client, &workload(&constant), &options).await.unwrap();
        let mut created = Vec::new();
        for suggestion in &advice.suggestions {
            for statement in &suggestion.statements {
                node.psql(&database, statement).unwrap();
            }
            created.push(suggestion.undo.clone());
        }
        node.psql(&database, "ANALYZE").unwrap();
        for query in &advice.queries {
            let plan = node.psql(&database, &format!("EXPLAIN (FORMAT JSON) {}", query.text)).unwrap();
            let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
            let real = plan[0]["Plan"]["Total Cost"].as_f64().unwrap();
            let (mut low, high) = if method == CostMethod::Hypopg { (0.5, 1.5) } else { (0.1, 10.0) };
            if query.text.contains("lower(") {
                // How its values are distributed is known from the index on.
                low = 0.0;
            }
            let ratio = (real + 1.0) / (query.cost_after + 1.0);
            assert!(
                (low..high).contains(&ratio),
                "{method:?}: {real} of {} for {}",
                query.cost_after,
                query.text
            );
            assert!(real < query.cost_before / 5.0, "{method:?}: {real} of {}", query.cost_before);
        }
        for one in &advice.suggestions {
            let size = format!("SELECT pg_relation_size('public.{}')", one.name);
            let size: f64 = node.psql(&database, &size).unwrap().parse().unwrap();
            let ratio = size / one.size_bytes as f64;
            assert!((0.5..2.0).contains(&ratio), "{size} bytes for {one:?}");
        }
        // With them, there is nothing left that would be worth a word.
        let again = advise(&client, &workload(&constant), &options).await.unwrap();
        assert!(again.saved_share < 0.01, "{method:?}: {}", text(&again));
        created.iter().for_each(|undo| drop(node.psql(&database, undo).unwrap()));
    }
}

#[tokio::test]
async fn writes_are_weighed_against_reads() {
    let (_, _, client, has_hypopg) = shop("writes").await;
    for (method, options) in methods(has_hypopg) {
        let mix = |inserts: f64| {
            workload(&[
                ("SELECT counter FROM events WHERE kind = 7", 1.0),
                ("INSERT INTO events (kind, counter) VALUES (1, 2)", inserts),
            ])
        };
        let few = advise(&client, &mix(10.0), &options).await.unwrap();
        assert_eq!(all_on(&few).len(), 1, "{method:?}: {}", text(&few));
        assert!(few.write_cost > 0.0 && few.suggestions[0].write_overhead_share > 0.0);
        let many = advise(&client, &mix(1_000_000.0), &options).await.unwrap();
        assert!(many.suggestions.is_empty(), "{method:?}: {}", text(&many));
    }
    // An update that leaves the index alone need not touch it.
    let update = |column: &str| format!("UPDATE events SET {column} = 5 WHERE id = 9");
    for (column, has_index) in [("counter", true), ("kind", false)] {
        let update = update(column);
        let mix = workload(&[("SELECT counter FROM events WHERE kind = 7", 1.0), (&update, 6_000.0)]);
        let options = AdviceOptions { saved_share_min: 0.0, ..AdviceOptions::default() };
        let advice = advise(&client, &mix, &options).await.unwrap();
        let found = all_on(&advice);
        let keeps = found.iter().any(|on| on == "events (kind)");
        assert_eq!(keeps, has_index, "{column}: {}", text(&advice));
    }
}

#[tokio::test]
async fn bad_statements_are_skipped_with_their_reason() {
    let (_, _, client, has_hypopg) = shop("bad").await;
    let mut bad = workload(&[
        ("SELECT * FROM orders WHERE customer_id = 42", 1.0),
        ("SELEC 1", 1.0),
        ("SELECT * FROM missing WHERE a = $1", 1.0),
        ("SELECT * FROM missing WHERE a = 1", 1.0),
        ("SELECT pg_terminate_backend(1)", 1.0),
        ("VACUUM", 1.0),
        ("SELECT 1; SELECT 2", 1.0),
        ("SELECT $1", 0.0),
    ]);
    // As in a file.
    bad.seconds = None;
    for (method, options) in methods(has_hypopg) {
        let advice = advise(&client, &bad, &options).await.unwrap();
        assert_eq!(all_on(&advice), ["orders (customer_id)"], "{method:?}");
        let skipped: Vec<(&str, &str)> =
            advice.skipped.iter().map(|one| (one.id.as_str(), one.reason.as_str())).collect();
        assert_eq!(skipped.len(), 6, "{skipped:?}");
        let missing: Vec<_> = skipped.iter().filter(|(_, why)| why.contains("missing")).collect();
        assert_eq!(missing.len(), 2, "{skipped:?}");
        assert!(text(&advice).contains("Not planned: 6"), "{}", text(&advice));
    }
    for statement in ["SELEC 1", "SELECT pg_terminate_backend(1)", "SELECT * FROM missing"] {
        let refused = for_statement(&client, statement, &[], &AdviceOptions::default()).await;
        assert!(matches!(refused, Err(IndexesError::Statement { .. })), "{statement}: {refused:?}");
    }
}

#[tokio::test]
async fn partitioned_tables_get_one_index_for_each_partition() {
    let (node, database, client, has_hypopg) = shop("partitioned").await;
    let create = "CREATE TABLE log (at date NOT NULL, who int NOT NULL, what text) PARTITION BY RANGE (at);
        CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE \"Log 2\" PARTITION OF log FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        INSERT INTO log SELECT '2026-01-01'::date + i % 59, i % 5000, repeat('z', 50) FROM generate_series(1, 60000) i;";
    node.psql(&database, create).unwrap();
    node.psql(&database, "ANALYZE").unwrap();
    for (method, options) in methods(has_hypopg) {
        let statement = "SELECT * FROM log WHERE who = 77";
        let advice = for_statement(&client, statement, &[], &options).await.unwrap();
        assert_eq!(all_on(&advice), ["log (who)"], "{method:?}: {}", text(&advice));
        let one = &advice.suggestions[0];
        assert_eq!(one.statements.len(), 5, "{one:?}");
        one.statements.iter().for_each(|statement| drop(node.psql(&database, statement).unwrap()));
        let valid =
            format!("SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.{}'::regclass", one.name);
        assert_eq!(node.psql(&database, &valid).unwrap(), "t");
        let again = for_statement(&client, statement, &[], &options).await.unwrap();
        assert!(again.suggestions.is_empty(), "{method:?}: {}", text(&again));
        node.psql(&database, &one.undo).unwrap();
    }
}

#[tokio::test]
async fn without_hypopg_the_advice_says_how_to_get_it() {
    let (node, database, _, has_hypopg) = shop("without").await;
    if has_hypopg {
        node.psql(&database, "DROP EXTENSION hypopg").unwrap();
    }
    let client = connect(node, &database, "postgres").await;
    let statement = "SELECT * FROM orders WHERE customer_id = 42";
    let advice = for_statement(&client, statement, &[], &AdviceOptions::default()).await.unwrap();
    assert_eq!(advice.method, CostMethod::Estimated);
    let gap = advice.missing.iter().find(|gap| gap.why.contains("hypopg")).unwrap();
    assert_eq!(gap.statement.is_some(), has_hypopg, "{gap:?}");
    assert!(text(&advice).contains("ESTIMATED"), "{}", text(&advice));
}

/// pg_stat_statements keeps no patterns, so that only the application's people know what they begin with.
#[tokio::test]
async fn patterns_that_are_not_known_are_a_hint() {
    let (node, database, client, has_hypopg) = shop("patterns").await;
    for (_, options) in methods(has_hypopg) {
        let mix = workload(&[("SELECT id FROM customers WHERE email LIKE $1", 5.0)]);
        let advice = advise(&client, &mix, &options).await.unwrap();
        assert_eq!((advice.suggestions.len(), advice.hints.len()), (0, 1), "{}", text(&advice));
        let hint = &advice.hints[0];
        assert!(hint.statements[0].contains("(email text_pattern_ops)"), "{hint:?}");
        node.psql(&database, &hint.statements[0]).unwrap();
        let again = advise(&client, &mix, &options).await.unwrap();
        assert!(again.hints.is_empty(), "{again:?}");
        node.psql(&database, "DROP INDEX customers_email_idx").unwrap();
    }
}

/// A role that may read the statistics and nothing else.
#[tokio::test]
async fn with_least_privileges() {
    let (node, database, _, _) = shop("least").await;
    let role = format!("{database}_reader");
    node.psql(
        &database,
        &format!("CREATE ROLE {role} LOGIN; GRANT pg_monitor TO {role}; GRANT SELECT ON orders TO {role}"),
    )
    .unwrap();
    let client = connect(node, &database, &role).await;
    let mix = workload(&[
        ("SELECT * FROM orders WHERE customer_id = $1", 1.0),
        ("SELECT * FROM customers WHERE name = $1", 1.0),
    ]);
    let advice = advise(&client, &mix, &AdviceOptions::default()).await.unwrap();
    assert_eq!(all_on(&advice), ["orders (customer_id)"], "{}", text(&advice));
    assert!(advice.skipped[0].reason.contains("GRANT SELECT"), "{:?}", advice.skipped);
    drop(client);
    node.psql(&database, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
}
