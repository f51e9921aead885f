//! `pgprime analyze`: plans with their problems, pasted plans, refusals, exit codes.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use pgprime_cluster::free_port;
use serde_json::Value;

use crate::harness::{cluster, database_behind_pooler, stderr_of};

/// A table with a planted problem: what is looked for by name has no index.
const ORDERS: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, customer text, amount int);
    INSERT INTO orders SELECT n, 'customer ' || n % 5000, n FROM generate_series(1, 50000) n;
    ANALYZE orders;";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command.arg("analyze").args(arguments).env_remove("DATABASE_URL").stdin(Stdio::null());
    command
}

fn analyze(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A database with orders, and its address.
fn orders() -> String {
    let database = cluster().test_database("analyze").unwrap();
    cluster().primary().psql(&database, ORDERS).unwrap();
    cluster().primary().url(&database)
}

fn json(arguments: &[&str], code: i32) -> Value {
    let output = analyze(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr_of(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(arguments: &[&str], code: i32, words: &str) {
    let output = analyze(arguments);
    let said = stderr_of(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "expected {words:?} in: {said}");
    assert!(output.stdout.is_empty(), "{}", printed(&output));
}

#[test]
fn a_planted_problem_is_a_finding() {
    let url = orders();
    let slow = ["SELECT * FROM orders WHERE customer = $1", "--param", "customer 42", "--database-url", &url];
    let executed = [&slow[..], &["--execute", "--as-superuser"]].concat();
    let output = analyze(&executed);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}\n{}", stderr_of(&output));
    assert!(text.contains("Parameter $1: 'customer 42' (text), given"), "{text}");
    assert!(text.contains("Seq Scan on") && text.contains("orders"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let document = json(&executed, 1);
    assert_eq!(document["is_executed"], true);
    assert_eq!(document["parameters"]["source"], "given");
    assert_eq!(document["document"][0]["Plan"]["Actual Rows"].as_f64(), Some(10.0));
    assert!(!document["findings"].as_array().unwrap().is_empty());
    assert_eq!(document["plan"]["root"]["actual"]["rows"].as_f64(), Some(10.0), "{}", document["plan"]);

    let document = json(&["SELECT * FROM orders WHERE id = 7", "--database-url", &url], 0);
    assert_eq!(
        (&document["is_executed"], &document["parameters"]["source"]),
        (&false.into(), &"none".into())
    );
}

/// What EXPLAIN printed is read from a file and from standard input, without a database.
#[test]
fn plans_can_be_pasted() {
    let url = orders();
    let explain = "EXPLAIN (ANALYZE) SELECT * FROM orders WHERE customer = 'customer 42'";
    let database = url.rsplit('/').next().unwrap();
    let text = cluster().primary().psql(database, explain).unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("plan.txt");
    std::fs::write(&path, &text).unwrap();
    let from_file = analyze(&["--plan", path.to_str().unwrap()]);
    assert_eq!(from_file.status.code(), Some(1), "{}", stderr_of(&from_file));

    let mut child = command(&["--plan", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let from_input = child.wait_with_output().unwrap();
    assert_eq!(printed(&from_input), printed(&from_file));

    std::fs::write(&path, "no plan at all").unwrap();
    refused(&["--plan", path.to_str().unwrap()], 2, "holds no plan: ");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    refused(&["--plan", path.to_str().unwrap()], 2, "is not text in UTF-8");
    refused(&["--plan", "/nowhere/plan.txt"], 2, "cannot read the plan in /nowhere/plan.txt");
}

#[test]
fn bad_input_is_refused_without_a_database() {
    refused(
        &["SELECT 1; DROP TABLE t"],
        2,
        "2 statements, where one is expected; the second begins at line 1, column 11",
    );
    refused(&["SELECT * FORM t"], 2, "syntax error at or near \"FORM\", at line 1, column 10: FORM t");
    refused(&["  "], 2, "there is no statement in it");
    refused(&[], 2, "required");
    refused(&["SELECT 1", "--plan", "-"], 2, "cannot be used with");
    refused(&["SELECT 1"], 2, "--database-url or DATABASE_URL is needed");
    refused(&["SELECT 1", "--database-url", "nonsense://"], 2, "is not the address of a database");
    let nobody = format!("postgresql://127.0.0.1:{}/x", free_port());
    refused(&["SELECT 1", "--database-url", &nobody], 3, "cannot reach the database");
}

#[test]
fn what_could_do_harm_is_refused() {
    let url = orders();
    for (text, words) in [
        ("SELECT pg_terminate_backend(1)", "pg_terminate_backend acts on other sessions"),
        ("SELECT pg_read_file('/etc/passwd')", "nothing was executed"),
        ("COPY orders TO PROGRAM 'true'", "COPY has no plan"),
        ("EXPLAIN ANALYZE DELETE FROM orders", "give the statement without it"),
    ] {
        refused(&[text, "--database-url", &url], 2, words);
        refused(&[text, "--database-url", &url, "--execute", "--as-superuser"], 2, words);
    }
    refused(&["SELECT 1", "--database-url", &url, "--execute"], 2, "is a superuser");
    refused(
        &["SELECT * FROM nowhere", "--database-url", &url],
        2,
        "does not exist, at line 1, column 15: nowhere",
    );
    refused(
        &["SELECT 1", "--param", "1", "--database-url", &url],
        2,
        "1 values are given and the statement has 0",
    );
    refused(&["--query-id", "-7", "--database-url", &url], 2, "CREATE EXTENSION pg_stat_statements");
    let endless = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
    let limited = [endless, "--execute", "--as-superuser", "--timeout-ms", "200", "--database-url", &url];
    refused(&limited, 2, "stopped after 200 ms");

    let document = json(&["DELETE FROM orders", "--execute", "--as-superuser", "--database-url", &url], 0);
    assert_eq!(document["is_executed"], false);
    assert!(document["notes"][0].as_str().unwrap().contains("DELETE changes data"), "{document}");
}

/// A transaction has its server to itself, so that nothing is left behind on one and missing on another.
#[test]
fn a_pooler_in_between_does_not_matter() {
    let (database, pooler) = database_behind_pooler("analyze_pool", 2);
    cluster().primary().psql(&database, ORDERS).unwrap();
    let url = pooler.url(&database);
    for (text, source) in [
        ("SELECT * FROM orders WHERE id = $1", "sampled"),
        ("SELECT * FROM orders WHERE lower(customer) = $1", "generic"),
        ("SELECT * FROM orders WHERE lower(customer) = $1", "generic"),
        ("SELECT 1", "none"),
    ] {
        let output = analyze(&[text, "--json", "--database-url", &url]);
        let document: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr_of(&output)));
        assert_eq!(document["parameters"]["source"], source, "{text}");
    }
    let left = pooler
        .psql(&database, &["SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'pgprime_explain%'"]);
    assert_eq!(printed(&left).trim(), "0");
}
