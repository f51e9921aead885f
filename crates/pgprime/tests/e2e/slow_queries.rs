//! `pgprime slow-queries` on a real PostgreSQL.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use pgprime_cluster::{Cluster, ClusterOptions, Installation, free_port};
use tempfile::TempDir;

use crate::harness::{cluster, stderr_of, stdout_of};

/// The command with its own place for the history, and no database of the environment.
fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command.arg("slow-queries").args(arguments).env_remove("DATABASE_URL").env_remove("XDG_STATE_HOME");
    command.env("HOME", home).stdin(Stdio::null());
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    command(home, arguments).output().unwrap()
}

/// The JSON document that a command prints; it ends with this code.
#[track_caller]
fn json(home: &Path, arguments: &[&str], code: i32) -> serde_json::Value {
    let output = run(home, &[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr_of(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A database with the extension, and its URL.
fn database(prefix: &str) -> (String, String) {
    let database = cluster().test_database(prefix).unwrap();
    cluster().primary().psql(&database, "CREATE EXTENSION pg_stat_statements").unwrap();
    let url = cluster().primary().url(&database);
    (database, url)
}

/// The statement with these words.
fn find<'d>(document: &'d serde_json::Value, words: &str) -> Option<&'d serde_json::Value> {
    let statements = document["statements"].as_array().unwrap();
    statements.iter().find(|statement| statement["text"].as_str().is_some_and(|text| text.contains(words)))
}

#[test]
fn slow_statements_are_a_finding() {
    let (database, url) = database("slow_cli");
    let home = TempDir::new().unwrap();
    let nap = || cluster().primary().psql(&database, "SELECT pg_sleep(0.06) AS nap").unwrap();
    nap();
    let arguments = ["--database-url", &url, "--threshold-ms", "50"];
    let document = json(home.path(), &arguments, 1);
    assert_eq!(
        (document["slow_count"].as_u64(), document["server"]["database"].as_str()),
        (Some(1), Some(&*database))
    );
    let found = find(&document, "AS nap").unwrap();
    assert_eq!((found["calls"].as_u64(), found["is_slow"].as_bool()), (Some(1), Some(true)));
    assert!(found["query_id"].as_str().unwrap().parse::<i64>().is_ok());
    let well = json(home.path(), &["--database-url", &url], 0);
    assert_eq!((well["slow_count"].as_u64(), well["order"].as_str()), (Some(0), Some("total")));
    assert!(find(&well, "AS nap").is_some(), "the costliest are told of all the same");

    // The history, by default below the home folder, knows what came between the runs.
    nap();
    nap();
    let since = json(home.path(), &[&arguments[..], &["--since", "1h"]].concat(), 1);
    assert_eq!(
        (since["basis"].as_str(), find(&since, "AS nap").unwrap()["calls"].as_u64()),
        (Some("history"), Some(2))
    );
    assert!(since["notes"].to_string().contains("begins later"), "{since}");
    let file = home.path().join(".local/state/pgprime/history.sqlite");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let page = run(home.path(), &arguments);
    assert_eq!(page.status.code(), Some(1));
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains("1 statement takes 50 ms or more on average"), "{page}");
    assert!(page.contains("SELECT pg_sleep($1) AS nap"), "{page}");
    assert!(!page.contains('\u{1b}'), "{page}");
}

#[test]
fn recording_alone_and_a_file_of_its_own() {
    let (database, url) = database("slow_record");
    let home = TempDir::new().unwrap();
    let file = home.path().join("own/file.sqlite");
    let file = file.to_str().unwrap();
    let record = ["--database-url", &url, "--history", file, "--record"];
    assert!(stdout_of(&run(home.path(), &record)).contains("the next recording tells"));
    cluster().primary().psql(&database, "SELECT 'between' AS between_recordings").unwrap();
    assert!(stdout_of(&run(home.path(), &record)).starts_with("recorded what "));
    let document = json(home.path(), &["--database-url", &url, "--history", file, "--since", "today"], 0);
    assert_eq!(find(&document, "between_recordings").unwrap()["calls"].as_u64(), Some(1));
    assert!(!home.path().join(".local").exists());

    // The time of another server is not this one's: nothing is recorded for it yet.
    let other = TempDir::new().unwrap();
    let document = json(other.path(), &["--database-url", &url, "--since", "7d"], 0);
    // Before version 14 nobody knows since when.
    let is_known = Installation::find().unwrap().version_major() >= 14;
    assert_eq!(document["basis"], if is_known { "totals" } else { "totals_of_unknown_age" });
    assert!(document["notes"].to_string().contains("Nothing is recorded"), "{document}");
}

#[test]
fn an_interval_that_is_watched() {
    let (database, url) = database("slow_watch");
    let home = TempDir::new().unwrap();
    cluster().primary().psql(&database, "SELECT 1, 2 AS earlier").unwrap();
    let mut watch = command(home.path(), &["--database-url", &url, "--watch", "2", "--json"]);
    let watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let seen = "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%pgprime: whose data this is%' \
                AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
    crate::harness::wait_until("the first snapshot is taken", || {
        cluster().primary().psql(&database, seen).unwrap() != "0"
    });
    cluster().primary().psql(&database, "SELECT 'meanwhile' AS meanwhile").unwrap();
    let output = watch.wait_with_output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["basis"], "interval");
    assert!(document["seconds"].as_f64().unwrap() >= 2.0);
    assert!(find(&document, "meanwhile").is_some() && find(&document, "earlier").is_none(), "{document:#}");
}

#[test]
fn wrong_usage_and_databases_out_of_reach() {
    let (_, url) = database("slow_usage");
    let home = TempDir::new().unwrap();
    let database_url = ["--database-url", url.as_str()];
    let wrong: [(&[&str], &str); 9] = [
        (&["--since", "soon"], "is no moment"),
        (&["--since", "2999-01-01"], "in the future"),
        (&["--threshold-ms", "-1"], "0 or more"),
        (&["--threshold-ms", "NaN"], "0 or more"),
        (&["--order", "beauty"], "possible values"),
        (&["--limit", "0"], "--limit"),
        (&["--interval", "0"], "--interval"),
        (&["--record", "--since", "1h"], "cannot be used with"),
        (&["--history", "/dev/null"], "not a history of pgprime"),
    ];
    for (arguments, words) in wrong {
        let output = run(home.path(), &[&database_url[..], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr_of(&output));
        assert!(stderr_of(&output).contains(words), "{arguments:?}: {}", stderr_of(&output));
        assert!(output.stdout.is_empty());
    }
    let none = run(home.path(), &[]);
    assert_eq!((none.status.code(), stderr_of(&none).contains("DATABASE_URL")), (Some(2), true));
    let closed = format!("postgresql://app:topsecret@127.0.0.1:{}/db", free_port());
    let output = run(home.path(), &["--database-url", &closed]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr_of(&output));
    assert!(
        stderr_of(&output).contains("cannot reach the database") && !stderr_of(&output).contains("topsecret")
    );
    let nonsense = run(home.path(), &["--database-url", "mysql://app:topsecret@h/db"]);
    assert_eq!(nonsense.status.code(), Some(2));
    assert!(!stderr_of(&nonsense).contains("topsecret"));

    // A history that cannot be used does not keep from a report that needs none.
    let blocked = TempDir::new().unwrap();
    std::fs::write(blocked.path().join(".local"), "a file").unwrap();
    let output = run(blocked.path(), &database_url);
    assert_eq!(output.status.code(), Some(0), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("nothing is recorded: cannot create the folder"));
    let output = run(blocked.path(), &[&database_url[..], &["--record"]].concat());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_extension_that_is_missing() {
    let cluster =
        Cluster::start(&ClusterOptions::default().with_setting("shared_preload_libraries", "")).unwrap();
    let url = cluster.primary().url("postgres");
    let home = TempDir::new().unwrap();
    let output = run(home.path(), &["--database-url", &url]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr_of(&output);
    for words in
        ["ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';", "CREATE EXTENSION", "restart"]
    {
        assert!(said.contains(words), "{said}");
    }
    let document = json(home.path(), &["--database-url", &url], 2);
    assert_eq!(document["missing"].as_array().unwrap().len(), 2);
}
