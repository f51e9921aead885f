//! Suggestions that are applied, and what stands in their way.

mod failures;
mod parts;

use std::time::Duration;

use pgprime_advisor::indexes::{
    Advice, AdviceOptions, Applied, ApplyOptions, ApplyOutcome, Confidence, CostMethod, Gain, MeasuredBy,
    Suggestion, Workload, WorkloadQuery, advise, applied_text, apply,
};
use pgprime_cluster::Node;
use tokio_postgres::Client;

use crate::space::{connect, database};

const TABLE: &str = "CREATE TABLE orders (id int PRIMARY KEY, customer int, status text, note text);
    INSERT INTO orders SELECT i, i % 5000, 'open', repeat('x', 100) FROM generate_series(1, 40000) i;
    ANALYZE orders;";
const BY_CUSTOMER: &str = "SELECT id FROM orders WHERE customer = $1";

/// A database with a role that owns its tables and is no superuser.
async fn owned(prefix: &str, setup: &str) -> (&'static Node, String, Client) {
    let (node, database) = database(prefix);
    node.psql("postgres", &format!("CREATE ROLE {database} LOGIN")).unwrap();
    node.psql(
        &database,
        &format!("GRANT CREATE ON SCHEMA public TO {database}; SET ROLE {database}; {setup}"),
    )
    .unwrap();
    let client = connect(node, &database, &database).await;
    (node, database, client)
}

fn workload(queries: &[(&str, &[&str])]) -> Workload {
    let query = |(at, (text, values)): (usize, &(&str, &[&str]))| WorkloadQuery {
        id: format!("{}", at + 1),
        text: (*text).to_owned(),
        weight: 10.0,
        parameters: values.iter().map(|value| Some((*value).to_owned())).collect(),
        ..WorkloadQuery::default()
    };
    Workload { queries: queries.iter().enumerate().map(query).collect(), seconds: None }
}

/// What is to be created, for the first so many queries of the workload.
fn suggestion(name: &str, schema: &str, statements: &[&str], undo: &str, queries: usize) -> Suggestion {
    let gain = |at: usize| Gain {
        query_id: format!("{}", at + 1),
        weight: 10.0,
        cost_before: 100.0,
        cost_after: 10.0,
    };
    Suggestion {
        name: name.to_owned(),
        schema: schema.to_owned(),
        table: "public.orders".to_owned(),
        statements: statements.iter().map(|statement| (*statement).to_owned()).collect(),
        undo: undo.to_owned(),
        access_method: "btree".to_owned(),
        keys: vec!["customer".to_owned()],
        size_bytes: 0,
        saved_cost: 0.0,
        saved_share: 0.0,
        write_cost: 0.0,
        writes_per_second: None,
        write_overhead_share: 0.0,
        confidence: Confidence::High,
        confidence_reason: String::new(),
        gains: (0..queries).map(gain).collect(),
    }
}

fn advice(suggestions: Vec<Suggestion>) -> Advice {
    Advice {
        server_version: "15".to_owned(),
        method: CostMethod::Hypopg,
        workload_seconds: None,
        cost_before: 0.0,
        cost_after: 0.0,
        write_cost: 0.0,
        saved_share: 0.0,
        size_bytes: 0,
        budget_bytes: None,
        candidates: 0,
        gap_max: None,
        suggestions,
        queries: Vec::new(),
        skipped: Vec::new(),
        hints: Vec::new(),
        missing: Vec::new(),
    }
}

/// An index of `orders (customer)` and what else there is.
fn by_customer(name: &str) -> Suggestion {
    let create = format!("CREATE INDEX CONCURRENTLY {name} ON public.orders (customer)");
    suggestion(name, "public", &[&create], &format!("DROP INDEX CONCURRENTLY public.{name};"), 1)
}

fn short() -> ApplyOptions {
    ApplyOptions { lock_timeout: Duration::from_millis(300), runs: 1, ..ApplyOptions::default() }
}

#[track_caller]
fn failed(applied: &[Applied], sqlstate: Option<&str>, words: &str) {
    let [Applied { outcome: ApplyOutcome::Failed { reason, sqlstate: state, is_clean }, .. }] = applied
    else {
        panic!("{applied:?}")
    };
    assert!(reason.contains(words), "{reason}");
    assert_eq!((state.as_deref(), *is_clean), (sqlstate, true), "{reason}");
}

fn indexes(node: &Node, database: &str) -> String {
    let sql = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
               WHERE relkind IN ('i', 'I') AND oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace";
    node.psql(database, sql).unwrap()
}

#[tokio::test]
async fn a_gain_is_measured() {
    let (node, database, client) = owned("apply_gain", TABLE).await;
    let workload = workload(&[
        (BY_CUSTOMER, &["7"]),
        ("UPDATE orders SET status = 'done' WHERE customer = $1", &["7"]),
        ("SELECT count(*) FROM orders WHERE customer = $1", &[]),
    ]);
    client.batch_execute("SET lock_timeout = '7s'").await.unwrap();
    let mut one = by_customer("orders_customer_idx");
    one.gains = suggestion("", "", &[], "", 3).gains;
    let all = apply(&client, &workload, &advice(vec![one]), &ApplyOptions::default()).await.unwrap();
    let [applied] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(applied.outcome, ApplyOutcome::Created);
    assert_eq!(applied.has_gained, Some(true));
    assert!(applied.gained_share.is_some_and(|share| share > 0.5), "{applied:?}");
    let size = node.psql(&database, "SELECT pg_relation_size('orders_customer_idx')").unwrap();
    assert_eq!(applied.size_bytes, size.parse().ok());
    for measured in &applied.measurements {
        assert!(measured.uses_index && measured.after_cost < measured.before_cost, "{measured:?}");
        let is_executed = measured.how == MeasuredBy::Executed;
        assert_eq!(is_executed, measured.query_id != "2", "what writes is planned only: {measured:?}");
        assert_eq!((measured.before_ms.is_some(), measured.after_ms.is_some()), (is_executed, is_executed));
    }
    let value = |name: &str| {
        let sql = format!("SHOW {name}");
        let client = &client;
        async move { client.query_one(&sql, &[]).await.unwrap().get::<_, String>(0) }
    };
    assert_eq!((value("lock_timeout").await, value("statement_timeout").await), ("7s".into(), "0".into()));
    let shown = applied_text(&all);
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    let json = serde_json::to_value(&all).unwrap();
    assert_eq!(
        (&json[0]["outcome"], &json[0]["measurements"][1]["how"]),
        (&"created".into(), &"planned_only".into())
    );
    client.batch_execute(&applied.undo).await.unwrap();
    assert_eq!(indexes(node, &database), "orders_pkey");
}

#[tokio::test]
async fn what_brings_nothing_goes_again() {
    let (node, database, client) = owned("apply_revert", TABLE).await;
    let workload =
        workload(&[("SELECT count(*) FROM orders WHERE status = 'open'", &[]), (BY_CUSTOMER, &["7"])]);
    let create = "CREATE INDEX CONCURRENTLY useless ON public.orders (status)";
    let useless = suggestion("useless", "public", &[create], "DROP INDEX CONCURRENTLY public.useless;", 1);
    let mut useful = by_customer("useful");
    useful.gains[0].query_id = "2".to_owned();
    let advice = advice(vec![useless, useful]);
    let kept =
        ApplyOptions { names: vec!["useless".to_owned()], gain_min_share: 0.9, ..ApplyOptions::default() };
    let all = apply(&client, &workload, &advice, &kept).await.unwrap();
    assert_eq!((all.len(), &all[0].outcome, all[0].has_gained), (1, &ApplyOutcome::Created, Some(false)));
    client.batch_execute(&all[0].undo).await.unwrap();

    let options = ApplyOptions { auto_revert: true, gain_min_share: 0.9, ..ApplyOptions::default() };
    let all = apply(&client, &workload, &advice, &options).await.unwrap();
    let ApplyOutcome::Reverted { reason } = &all[0].outcome else { panic!("{all:?}") };
    assert!(!reason.is_empty());
    assert_eq!(all[1].outcome, ApplyOutcome::Created, "{all:?}");
    assert_eq!(indexes(node, &database), "orders_pkey useful");
}

#[tokio::test]
async fn odd_names_and_expressions() {
    let setup = "CREATE SCHEMA \"S s\"; SET search_path = \"S s\";
                 CREATE TABLE \"T (\"\"t\" (id int, \"N n\" text);
                 INSERT INTO \"T (\"\"t\" SELECT i, 'N' || i FROM generate_series(1, 20000) i;";
    let (node, database) = database("apply_odd");
    let own = format!("CREATE ROLE {database} LOGIN; GRANT CREATE ON DATABASE {database} TO {database}");
    node.psql(&database, &format!("{own}; SET ROLE {database}; {setup}")).unwrap();
    let client = connect(node, &database, &database).await;
    let name = "T (\"t_N n; DROP_lower_idx";
    let quoted = "\"T (\"\"t_N n; DROP_lower_idx\"";
    let create = format!("CREATE INDEX CONCURRENTLY {quoted} ON \"S s\".\"T (\"\"t\" (lower(\"N n\"));");
    let undo = format!("DROP INDEX CONCURRENTLY \"S s\".{quoted};");
    let text = "SELECT id FROM \"S s\".\"T (\"\"t\" WHERE lower(\"N n\") = 'n77'";
    let one = advice(vec![suggestion(name, "S s", &[&create], &undo, 1)]);
    let all = apply(&client, &workload(&[(text, &[])]), &one, &ApplyOptions::default()).await.unwrap();
    assert_eq!((&all[0].outcome, all[0].has_gained), (&ApplyOutcome::Created, Some(true)), "{all:?}");
    let analyzed = format!("SELECT count(*) FROM pg_stats WHERE tablename = '{}'", name.replace('\'', "''"));
    assert_eq!(node.psql(&database, &analyzed).unwrap(), "1", "the expression has statistics");
    client.batch_execute(&undo).await.unwrap();
}

#[tokio::test]
async fn advice_is_applied_as_it_is_given() {
    let parts = "CREATE TABLE parts (id int, account int) PARTITION BY RANGE (id);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (20000);
        CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (20000) TO (40001);
        INSERT INTO parts SELECT i, i * 7919 % 10000 FROM generate_series(1, 40000) i; ANALYZE parts;";
    let (_, _, client) = owned("apply_advice", &format!("{TABLE} {parts}")).await;
    let workload = workload(&[(BY_CUSTOMER, &["7"]), ("SELECT * FROM parts WHERE account = 7", &[])]);
    let advice = advise(&client, &workload, &AdviceOptions::default()).await.unwrap();
    assert_eq!(advice.suggestions.len(), 2, "{advice:?}");
    let all = apply(&client, &workload, &advice, &ApplyOptions::default()).await.unwrap();
    assert!(
        all.iter().all(|one| one.outcome == ApplyOutcome::Created && one.has_gained == Some(true)),
        "{all:?}"
    );
    let again = advise(&client, &workload, &AdviceOptions::default()).await.unwrap();
    assert_eq!(again.suggestions, [], "nothing is left to be had");
    for one in &all {
        client.batch_execute(&one.undo).await.unwrap();
    }
}
