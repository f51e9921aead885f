//! `pgprime indexes`: findings, JSON, exit codes and refusals.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use pgprime_cluster::free_port;

use crate::harness::{cluster, stderr_of, wait_until};

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
    let findings = review["review"]["findings"].as_array().unwrap();
    let problem = |finding: &serde_json::Value| finding["problem"].as_str().unwrap().to_owned();
    let problems: Vec<String> = findings.iter().map(problem).collect();
    assert_eq!(problems, ["duplicate", "unused", "foreign_key_without_index"]);
    // Nothing is unused for certain yet.
    for finding in findings.iter().filter(|finding| problem(finding) != "unused") {
        node.psql(&database, finding["remedies"][0]["statement"].as_str().unwrap()).unwrap();
    }
    let output = indexes(&["--database-url", &url, "--json"]);
    let review: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let left: Vec<String> = review["review"]["findings"].as_array().unwrap().iter().map(problem).collect();
    assert!(left.iter().all(|problem| problem == "unused"), "{left:?}");
    assert_eq!(indexes(&["--database-url", &url]).status.code(), Some(0));
}

#[test]
fn wrong_usage_and_databases_out_of_reach() {
    let closed = format!("postgresql://app:topsecret@127.0.0.1:{}/db", free_port());
    for (arguments, code, words) in [
        (&[][..], 2, "--database-url"),
        (&["--database-url", "topsecret"], 2, "--database-url"),
        (&["--database-url", &closed, "--workload", "/nowhere.sql"], 2, "/nowhere.sql"),
        (&["--database-url", &closed, "--budget", "many"], 2, "--budget"),
        (&["--database-url", &closed, "--auto-revert"], 2, "--apply"),
        (&["--database-url", &closed], 3, "cannot reach the database"),
    ] {
        let output = indexes(arguments);
        let said = stderr_of(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words) && !said.contains("topsecret"), "{said}");
        assert!(output.stdout.is_empty());
    }
}

/// From a file of statements to an index that is there, and away again.
#[test]
fn advice_for_a_file_is_applied_and_undone() {
    let (node, database) = (cluster().primary(), cluster().test_database("advice").unwrap());
    let url = node.url(&database);
    let fill = "CREATE TABLE quotes (id int PRIMARY KEY, customer int NOT NULL, premium int NOT NULL, note text NOT NULL);
                INSERT INTO quotes SELECT i, i % 5000, i, repeat('x', 50) FROM generate_series(1, 60000) i;";
    node.psql(&database, fill).unwrap();
    node.psql(&database, "VACUUM ANALYZE").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workload.sql");
    let workload =
        "-- weight: 100\nSELECT * FROM quotes WHERE customer = 42;\nSELECT count(*) FROM quotes;\nSELEC 1;\n";
    std::fs::write(&file, workload).unwrap();
    let of_file = ["--database-url", &url, "--workload", file.to_str().unwrap()];

    let output = indexes(&of_file);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}\n{}", stderr_of(&output));
    let create = "CREATE INDEX CONCURRENTLY quotes_customer_idx ON public.quotes (customer);";
    for expected in [create, "Not planned: 1", "syntax error", "undo: DROP INDEX CONCURRENTLY"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let count = "SELECT count(*) FROM pg_indexes WHERE tablename = 'quotes'";
    assert_eq!(node.psql(&database, count).unwrap(), "1", "nothing is created unless asked for");

    let unknown = indexes(&[&of_file[..], &["--apply", "other_idx"]].concat());
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr_of(&unknown).contains("quotes_customer_idx"), "{}", stderr_of(&unknown));

    let output =
        indexes(&[&of_file[..], &["--json", "--as-superuser", "--apply", "quotes_customer_idx"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr_of(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let applied = &report["applied"][0];
    assert_eq!((&applied["outcome"], &applied["has_gained"]), (&"created".into(), &true.into()), "{applied}");
    assert!(applied["measurements"][0]["after_ms"].is_number(), "{applied}");
    assert_eq!(node.psql(&database, count).unwrap(), "2");
    let again = indexes(&of_file);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && text.contains("is worth its upkeep"), "{text}");
    node.psql(&database, applied["undo"].as_str().unwrap()).unwrap();
    assert_eq!(node.psql(&database, count).unwrap(), "1");
}

/// Without counters there is no workload: the review stands alone, and the steps are told.
#[test]
fn a_database_without_counters_is_reviewed_alone() {
    let (node, database) = (cluster().primary(), cluster().test_database("uncounted").unwrap());
    let output = indexes(&["--database-url", &node.url(&database)]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("No advice on indexes") && text.contains("pg_stat_statements"), "{text}");
    let output = indexes(&["--database-url", &node.url(&database), "--apply"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr_of(&output).contains("--workload"), "{}", stderr_of(&output));
}

/// A build that waits for somebody's transaction, and a person who has had enough.
#[test]
fn an_interrupted_build_leaves_nothing() {
    let (node, database) = (cluster().primary(), cluster().test_database("interrupted").unwrap());
    let url = node.url(&database);
    let fill = "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL);
                INSERT INTO t SELECT i, i FROM generate_series(1, 50000) i;";
    node.psql(&database, fill).unwrap();
    node.psql(&database, "VACUUM ANALYZE").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workload.sql");
    std::fs::write(&file, "SELECT * FROM t WHERE a = 42;").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let writer = runtime.block_on(async {
        let writer = pgprime_client::connect(&url, Duration::from_secs(5)).await.unwrap().client;
        writer.batch_execute("BEGIN; UPDATE t SET a = 1 WHERE id = 1").await.unwrap();
        writer
    });
    let child = Command::new(env!("CARGO_BIN_EXE_pgprime"))
        .args(["indexes", "--database-url", &url, "--apply", "--workload"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let building = "SELECT count(*) FROM pg_stat_progress_create_index p JOIN pg_database d ON d.oid = p.datid \
                    WHERE d.datname = current_database()";
    wait_until("the index is being built", || node.psql(&database, building).unwrap() == "1");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    wait_until("the build has ended", || node.psql(&database, building).unwrap() == "0");
    runtime.block_on(writer.batch_execute("COMMIT")).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("interrupted"), "{}", stderr_of(&output));
    assert_eq!(node.psql(&database, "SELECT count(*) FROM pg_indexes WHERE tablename = 't'").unwrap(), "1");
}
