//! `pgprime bloat`: findings, JSON, exit codes and refusals.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use pgprime_cluster::{Cluster, ClusterOptions, Node, free_port};

use crate::harness::{cluster, stderr_of};

fn bloat(arguments: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    bloat_with(state.path(), arguments)
}

/// With the history in this folder.
fn bloat_with(state: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command.arg("bloat").args(arguments).env_remove("DATABASE_URL").env("XDG_STATE_HOME", state);
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn growth_is_told_from_the_second_run_on() {
    let (node, database) = (cluster().primary(), cluster().test_database("growth").unwrap());
    let url = node.url(&database);
    let state = tempfile::tempdir().unwrap();
    let grow = "INSERT INTO t SELECT generate_series(1, 20000)";
    node.psql(&database, &format!("CREATE TABLE t (a int); {grow}")).unwrap();
    let growth = || {
        let output = bloat_with(state.path(), &["--database-url", &url, "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["tables"][0]["growth"]["bytes"].as_i64()
    };
    assert_eq!(growth(), None);
    node.psql(&database, grow).unwrap();
    assert!(growth().is_some_and(|bytes| bytes > 500_000));
    let wrong = bloat_with(state.path(), &["--database-url", &url, "--since", "some day"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr_of(&wrong).contains("--since"), "{}", stderr_of(&wrong));
}

/// Runs SQL and waits until its session is gone: only then are its counts known.
fn step(node: &Node, database: &str, sql: &str) {
    let others = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND backend_type = 'client backend'"
    );
    node.psql(database, sql).unwrap();
    while node.psql("postgres", &others).unwrap() != "0" {
        std::thread::yield_now();
    }
    node.wait_for_statistics(database).unwrap();
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn waste_is_a_finding_until_its_statement_is_run() {
    // Of its own: the shared one has databases whose ids other tests may age.
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let (node, database) = (cluster.primary(), cluster.test_database("bloat").unwrap());
    let url = node.url(&database);
    let fill = "CREATE SCHEMA \"My Shop\";
                CREATE TABLE \"My Shop\".orders (id int PRIMARY KEY, note text) WITH (autovacuum_enabled = off);
                INSERT INTO \"My Shop\".orders SELECT i, md5(i::text) FROM generate_series(1, 40000) i;";
    step(node, &database, fill);
    step(node, &database, "DELETE FROM \"My Shop\".orders WHERE id % 4 > 0");
    step(node, &database, "VACUUM ANALYZE \"My Shop\".orders");

    let few = ["--database-url", &url, "--threshold-percent", "40", "--min-size", "256kB"];
    let output = bloat(&few);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{text}\n{}", stderr_of(&output));
    assert!(text.contains("VACUUM (FULL, ANALYZE) \"My Shop\".orders;"), "{text}");
    assert!(text.contains("lock: ACCESS EXCLUSIVE; blocks every read and write"), "{text}");
    assert!(text.contains("Only this database is looked at") && text.contains("Largest tables"), "{text}");
    assert!(text.find("Findings:").unwrap() < text.find("Largest tables").unwrap(), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let json = bloat(&[&few[..], &["--json"]].concat());
    assert_eq!(json.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["tables"][0]["schema"], "My Shop");
    let kinds: Vec<&str> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| finding["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["table_bloat", "index_bloat", "autovacuum_off"]);

    // Below the thresholds it is nothing.
    let all = bloat(&["--database-url", &url, "--threshold-percent", "95"]);
    assert_eq!(all.status.code(), Some(0), "{}", printed(&all));
    for finding in document["findings"].as_array().unwrap().iter().take(2) {
        node.psql(&database, finding["remedies"][0]["statement"].as_str().unwrap()).unwrap();
    }
    let output = bloat(&few);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
}

#[test]
fn what_is_refused() {
    let database = cluster().test_database("bloat_refused").unwrap();
    let url = cluster().primary().url(&database);
    let closed = format!("postgresql://app:topsecret@127.0.0.1:{}/db", free_port());
    for (arguments, code, words) in [
        (&["--database-url", &closed][..], 3, "cannot reach the database"),
        (&[], 2, "DATABASE_URL is needed"),
        (&["--database-url", "mysql://app:topsecret@h/db"], 2, "not the address of a database"),
        (&["--database-url", &url, "--threshold-percent", "120"], 2, "from 0 to 100"),
        (&["--database-url", &url, "--min-size", "ten"], 2, "an amount with its unit"),
    ] {
        let output = bloat(arguments);
        let said = stderr_of(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words) && !said.contains("topsecret"), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{}", printed(&output));
    }
}
