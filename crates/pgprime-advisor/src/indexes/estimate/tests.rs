//! The estimates beside what the planner says once the index is there.

use pgprime_cluster::{ClusterOptions, SharedCluster};
use tokio_postgres::{Client, NoTls};

use super::super::candidate::Candidate;
use super::super::inventory::Inventory;
use super::super::options::AdviceOptions;
use super::super::session::Session;
use super::super::{catalog, generate, uses};
use super::*;
use crate::sql::Statement;

static CLUSTER: SharedCluster =
    SharedCluster::new(|| ClusterOptions::default().with_setting("autovacuum", "off"));

const SETUP: &str = "
    SELECT setseed(0.5);
    CREATE TABLE customers (id int PRIMARY KEY, region int, email text COLLATE \"C\", name text, created timestamptz,
                            active bool, note text);
    INSERT INTO customers SELECT i, (random() * 50)::int, 'user' || i || '@example.com', 'Name ' || i % 1000,
        '2020-01-01'::timestamptz + i * interval '1 hour', i % 100 <> 0, repeat('n', 80)
        FROM generate_series(1, 20000) i;
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status text, created timestamptz, due date, amount numeric,
                         payload jsonb, tags text[], deleted timestamptz, note text);
    INSERT INTO orders SELECT i, (random() * 20000)::int,
        CASE WHEN random() < 0.01 THEN 'open' WHEN random() < 0.1 THEN 'held' ELSE 'done' END,
        '2022-01-01'::timestamptz + i * interval '5 minutes', '2022-01-01'::date + (random() * 1000)::int,
        (random() * 10000)::numeric(10, 2), jsonb_build_object('k', i % 5000), ARRAY['t' || i % 3000, 'u' || i % 7],
        CASE WHEN random() < 0.02 THEN now() END, repeat('o', 60)
        FROM generate_series(1, 150000) i;
    CREATE TABLE items (order_id int, product_id int, quantity int, price numeric);
    INSERT INTO items SELECT (random() * 150000)::int, (random() * 2000)::int, (random() * 10)::int, random() * 100
        FROM generate_series(1, 300000) i;
    CREATE TABLE events (at timestamptz, account int, kind text) PARTITION BY RANGE (at);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2023-02-01');
    CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2023-02-01') TO ('2023-03-01');
    CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2023-03-01') TO ('2023-04-01');
    INSERT INTO events SELECT '2023-01-01'::timestamptz + i * interval '90 seconds', i * 7919 % 5000, 'k' || i % 5
        FROM generate_series(0, 86000) i;";

const STATEMENTS: &[&str] = &[
    "SELECT * FROM orders WHERE customer_id = 77",
    "SELECT * FROM orders WHERE status = 'open'",
    "SELECT * FROM orders WHERE status = 'done'",
    "SELECT count(*) FROM orders WHERE customer_id IN (1, 2, 3, 4)",
    "SELECT * FROM orders WHERE created >= '2023-05-01' AND created < '2023-05-03'",
    "SELECT * FROM orders WHERE created > '2022-02-01'",
    "SELECT * FROM orders WHERE due = '2023-01-01' AND status = 'held'",
    "SELECT * FROM orders WHERE due BETWEEN '2023-01-01' AND '2023-01-10'",
    "SELECT * FROM orders WHERE due > '2022-06-01'",
    "SELECT * FROM orders ORDER BY created DESC LIMIT 10",
    "SELECT * FROM orders WHERE customer_id = 5 ORDER BY created DESC LIMIT 10",
    "SELECT * FROM orders WHERE status = 'done' ORDER BY amount LIMIT 20",
    "SELECT * FROM orders ORDER BY amount",
    "SELECT max(amount) FROM orders",
    "SELECT max(created), count(*) FROM orders",
    "SELECT min(due) FROM orders WHERE status = 'open'",
    "SELECT * FROM orders WHERE deleted IS NOT NULL AND amount > 9000",
    "SELECT * FROM orders WHERE payload @> '{\"k\": 77}'",
    "SELECT * FROM orders WHERE tags @> ARRAY['t77']",
    "SELECT * FROM customers WHERE email LIKE 'user777%'",
    "SELECT * FROM customers WHERE name LIKE 'Name 77%'",
    "SELECT * FROM customers WHERE lower(name) = 'name 7'",
    "SELECT * FROM customers WHERE NOT active",
    "SELECT id FROM customers WHERE region = 7",
    "SELECT region, count(*) FROM customers GROUP BY region",
    "SELECT o.* FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = 'user5@example.com'",
    "SELECT o.amount, i.price FROM orders o JOIN items i ON i.order_id = o.id WHERE o.customer_id = 9",
    "SELECT o.status, sum(i.price) FROM orders o JOIN items i ON i.order_id = o.id GROUP BY o.status",
    "SELECT c.id FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.status = 'open')",
    "SELECT c.name, i.price FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id \
     WHERE c.name = 'Name 7' AND c.region = 3",
    "SELECT (SELECT max(o.created) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.id < 20",
    "SELECT * FROM events WHERE account = 77",
    "SELECT * FROM events WHERE account = 5 AND at >= '2023-02-10' AND at < '2023-02-20'",
    "SELECT * FROM events ORDER BY at DESC LIMIT 10",
    "SELECT b.id FROM orders a JOIN orders b ON b.customer_id = a.customer_id WHERE a.id = 5",
    "SELECT * FROM orders WHERE customer_id = 5 OR due = '2023-01-01'",
    "SELECT * FROM items WHERE order_id IN (SELECT id FROM orders WHERE status = 'open' AND due = '2023-01-01')",
    "WITH big AS (SELECT * FROM orders WHERE amount > 9990) SELECT count(*) FROM big",
    "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE o.due = '2023-03-03' \
     ORDER BY o.created LIMIT 5",
    "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.created DESC LIMIT 20",
    "SELECT * FROM orders WHERE customer_id = 7 UNION ALL SELECT * FROM orders WHERE customer_id = 8",
    "SELECT DISTINCT product_id FROM items",
    "DELETE FROM items WHERE order_id = 5",
    "SELECT c.id, c.name FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id)",
    "SELECT id, rank() OVER (PARTITION BY customer_id ORDER BY created) FROM orders WHERE due = '2023-01-01'",
    "SELECT c.region, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id \
     WHERE o.created >= '2023-03-01' AND o.created < '2023-03-08' GROUP BY c.region",
    "SELECT i.* FROM items i JOIN orders o ON o.id = i.order_id WHERE o.customer_id = 12 AND i.quantity > 5",
    "SELECT o.id FROM orders o WHERE o.status IN ('open', 'held') AND o.amount > 9900",
    "SELECT count(*) FROM orders WHERE deleted IS NULL",
    "SELECT * FROM items WHERE product_id = 9 ORDER BY price DESC LIMIT 3",
    "SELECT * FROM customers WHERE created >= '2021-06-01' ORDER BY name LIMIT 50",
    "SELECT customer_id, sum(amount) FROM orders GROUP BY customer_id",
    "SELECT * FROM orders o WHERE o.amount = (SELECT max(amount) FROM orders)",
    "SELECT * FROM items i JOIN customers c ON c.id = i.product_id WHERE c.region = 5 AND i.quantity = 3",
    "SELECT DISTINCT status FROM orders",
    "SELECT * FROM events WHERE kind = 'k3' AND account < 10",
    "SELECT e.* FROM events e JOIN customers c ON c.id = e.account WHERE c.email = 'user7@example.com'",
    "SELECT * FROM orders WHERE payload ->> 'k' = '77'",
    "SELECT id FROM orders WHERE customer_id BETWEEN 100 AND 110 AND due > '2024-01-01' ORDER BY due LIMIT 10",
    "SELECT o.* FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.region = 3 AND o.due = '2023-02-02'",
    "UPDATE items SET quantity = 0 WHERE product_id = 7",
];

/// Verdicts that have to agree, and the mean of how far costs are apart, as logarithms to the base of e.
const AGREEMENT_MIN: f64 = 0.9;
const ERROR_MEAN_MAX: f64 = 0.5;
/// Candidates that are really built for each statement.
const BUILT_MAX: usize = 7;

struct Case {
    sql: &'static str,
    index: String,
    before: f64,
    estimated: f64,
    real: f64,
}

impl Case {
    fn agrees(&self) -> bool {
        (self.estimated * 2.0 <= self.before) == (self.real * 2.0 <= self.before)
    }

    fn error(&self) -> f64 {
        (self.estimated / self.real).ln().abs()
    }
}

async fn database(prefix: &str) -> Client {
    let cluster = CLUSTER.cluster();
    let name = cluster.test_database(prefix).unwrap();
    let (client, connection) =
        tokio_postgres::connect(&cluster.primary().socket_url(&name), NoTls).await.unwrap();
    tokio::spawn(connection);
    // What is not in the log for certain is not visible to everybody yet.
    client.batch_execute("SET synchronous_commit = on").await.unwrap();
    client.batch_execute(SETUP).await.unwrap();
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    client
}

async fn plan(client: &Client, sql: &str) -> Plan {
    let row = client.simple_query(&format!("EXPLAIN (FORMAT JSON, VERBOSE) {sql}")).await.unwrap();
    let document = row.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Plan::parse(document.unwrap()).unwrap()
}

fn total(plan: &Plan) -> f64 {
    plan.root.estimate.unwrap().total_cost
}

async fn inventory(client: &Client, statement: &Statement) -> Inventory {
    let session = Session::begin(client, &AdviceOptions::default()).await.unwrap();
    let server = catalog::server(&session).await.unwrap();
    let inventory = catalog::inventory(&session, server, &[statement]).await;
    session.end(inventory).await.unwrap()
}

/// The cost with indexes that are really there, for a moment.
async fn real(client: &Client, inventory: &Inventory, built: &[&Candidate], sql: &str) -> f64 {
    client.batch_execute("BEGIN").await.unwrap();
    for candidate in built {
        let create = candidate.create("", &candidate.table(inventory).qualified);
        client.batch_execute(&create).await.unwrap();
    }
    let cost = total(&plan(client, sql).await);
    client.batch_execute("ROLLBACK").await.unwrap();
    cost
}

fn generated(inventory: &Inventory, uses: &Uses) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    for table_use in &uses.tables {
        for candidate in generate::candidates(inventory, table_use).candidates {
            if !all.contains(&candidate) {
                all.push(candidate);
            }
        }
    }
    all
}

#[tokio::test]
async fn estimates_rank_as_the_planner_does() {
    let client = database("estimate").await;
    let mut cases: Vec<Case> = Vec::new();
    for sql in STATEMENTS {
        let statement = Statement::parse(sql).unwrap();
        let inventory = inventory(&client, &statement).await;
        let uses = uses::uses(&inventory, &statement);
        let before = plan(&client, sql).await;
        let candidates = generated(&inventory, &uses);
        let numbered: Vec<(usize, &Candidate)> = candidates.iter().enumerate().collect();
        let estimates = estimates(&inventory, &uses, &before, &numbered);
        assert!(estimates.len() <= ESTIMATES_MAX);
        // Of each kind of index some, as the list begins with those of many keys.
        let step = candidates.len().div_ceil(BUILT_MAX).max(1);
        for (number, candidate) in numbered.into_iter().step_by(step) {
            let estimated = estimates.iter().find(|one| one.candidates == [number]);
            cases.push(Case {
                sql,
                index: candidate.id(&inventory).replace("public.", ""),
                before: total(&before),
                estimated: estimated.map_or(total(&before), |one| one.cost),
                real: real(&client, &inventory, &[candidate], sql).await,
            });
        }
    }
    let agreed = cases.iter().filter(|case| case.agrees()).count();
    let error_mean = cases.iter().map(Case::error).sum::<f64>() / cases.len() as f64;
    for case in &cases {
        println!(
            "{} {:>9.0} {:>9.0} {:>9.0} {:>5.2}  {:<60.60} {}",
            if case.agrees() { " " } else { "X" },
            case.before,
            case.estimated,
            case.real,
            case.error(),
            case.index,
            case.sql
        );
    }
    let version = client.query_one("SHOW server_version", &[]).await.unwrap();
    let version: &str = version.get(0);
    println!("{agreed} of {} verdicts agree, mean error {error_mean:.2}, PostgreSQL {version}", cases.len());
    assert!(cases.len() >= 25);
    assert!(agreed as f64 >= AGREEMENT_MIN * cases.len() as f64, "{agreed} of {}", cases.len());
    assert!(error_mean <= ERROR_MEAN_MAX, "{error_mean}");
}

/// Statements in which two indexes do what none does by itself, with the keys of both.
const TOGETHER: &[(&str, &str, &str)] = &[
    (
        "SELECT o.amount, i.price FROM orders o JOIN items i ON i.order_id = o.id WHERE o.customer_id = 9",
        "orders (customer_id)",
        "items (order_id)",
    ),
    (
        "SELECT c.note, o.amount FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = 'user5@example.com'",
        "customers (email)",
        "orders (customer_id)",
    ),
];

#[tokio::test]
async fn combinations_rank_as_the_planner_does() {
    let client = database("together").await;
    for (sql, one, other) in TOGETHER {
        let statement = Statement::parse(sql).unwrap();
        let inventory = inventory(&client, &statement).await;
        let uses = uses::uses(&inventory, &statement);
        let before = plan(&client, sql).await;
        let mut candidates = generated(&inventory, &uses);
        candidates
            .retain(|candidate| [one, other].contains(&&&*candidate.id(&inventory).replace("public.", "")));
        let numbered: Vec<(usize, &Candidate)> = candidates.iter().enumerate().collect();
        assert_eq!(numbered.len(), 2, "{sql}");
        let estimates = estimates(&inventory, &uses, &before, &numbered);
        let both = estimates.iter().find(|one| one.candidates == [0, 1]);
        let both = both.unwrap_or_else(|| panic!("{sql}: {estimates:?}")).cost;
        let real = real(&client, &inventory, &candidates.iter().collect::<Vec<_>>(), sql).await;
        println!("{:.0} {both:.1} {real:.1} {sql}", total(&before));
        assert!((both / real).ln().abs() < 1.0, "{both} for {real}: {sql}");
    }
    what_is_no_gain_is_none(&client).await;
}

async fn what_is_no_gain_is_none(client: &Client) {
    for sql in ["SELECT * FROM orders WHERE status = 'done'", "SELECT * FROM orders WHERE due > '2022-02-01'"]
    {
        let statement = Statement::parse(sql).unwrap();
        let inventory = inventory(client, &statement).await;
        let uses = uses::uses(&inventory, &statement);
        let candidates = generated(&inventory, &uses);
        let numbered: Vec<(usize, &Candidate)> = candidates.iter().enumerate().collect();
        assert_eq!(estimates(&inventory, &uses, &plan(client, sql).await, &numbered), [], "{sql}");
    }
    assert!(combinations(&[]).is_empty());
}
