//! `pgprime indexes`: findings, JSON, exit codes and refusals.

use std::process::{Command, Output, Stdio};

use pgprime_cluster::free_port;

use crate::harness::{cluster, stderr_of};

fn indexes(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command.arg("indexes").args(arguments).env_remove("DATABASE_URL").stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn a_duplicate_and_a_foreign_key_are_found_until_their_statements_are_run() {
    let (node, database) = (cluster().primary(), cluster().test_database("indexes").unwrap());
    let url = node.url(&database);
    let fill = "CREATE TABLE customers (id int PRIMARY KEY);
                CREATE TABLE policies (id int PRIMARY KEY, customer int REFERENCES customers, number text);
                CREATE INDEX one ON policies (number); CREATE INDEX two ON policies (number);
                INSERT INTO customers SELECT i FROM generate_series(1, 1000) i;
                INSERT INTO policies SELECT i, i % 1000 + 1, md5(i::text) FROM generate_series(1, 50000) i;";
    node.psql(&database, fill).unwrap();
    node.psql(&database, "VACUUM ANALYZE").unwrap();

    let output = indexes(&["--database-url", &url]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}\n{}", stderr_of(&output));
    assert!(text.contains("DROP INDEX CONCURRENTLY public.two;"), "{text}");
    assert!(text.contains("CREATE INDEX CONCURRENTLY") && text.contains("(customer)"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let output = indexes(&["--database-url", &url, "--json"]);
    let review: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = review["findings"].as_array().unwrap();
    let problem = |finding: &serde_json::Value| finding["problem"].as_str().unwrap().to_owned();
    let problems: Vec<String> = findings.iter().map(problem).collect();
    assert_eq!(problems, ["duplicate", "unused", "foreign_key_without_index"]);
    // Nothing is unused for certain yet.
    for finding in findings.iter().filter(|finding| problem(finding) != "unused") {
        node.psql(&database, finding["remedies"][0]["statement"].as_str().unwrap()).unwrap();
    }
    let output = indexes(&["--database-url", &url, "--json"]);
    let review: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let left: Vec<String> = review["findings"].as_array().unwrap().iter().map(problem).collect();
    assert!(left.iter().all(|problem| problem == "unused"), "{left:?}");
    assert_eq!(indexes(&["--database-url", &url]).status.code(), Some(0));
}

#[test]
fn wrong_usage_and_databases_out_of_reach() {
    let closed = format!("postgresql://app:topsecret@127.0.0.1:{}/db", free_port());
    for (arguments, code, words) in [
        (&[][..], 2, "--database-url"),
        (&["--database-url", "topsecret"], 2, "--database-url"),
        (&["--database-url", &closed], 3, "cannot reach the database"),
    ] {
        let output = indexes(arguments);
        let said = stderr_of(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words) && !said.contains("topsecret"), "{said}");
        assert!(output.stdout.is_empty());
    }
}
