//! `pgprime cache triggers` and `pgprime cache publication`: made, told, taken away, and refused.

use std::process::{Command, Output, Stdio};

use pgprime_cluster::{Cluster, ClusterOptions, free_port};

use crate::harness::{cluster, stderr_of};

fn triggers(arguments: &[&str]) -> Output {
    cache("triggers", arguments)
}

fn cache(what: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command.args(["cache", what]).args(arguments).env_remove("DATABASE_URL");
    command.stdin(Stdio::null()).output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn triggers_are_made_told_and_taken_away() {
    let (node, database) = (cluster().primary(), cluster().test_database("cache").unwrap());
    let url = node.url(&database);
    node.psql(
        &database,
        "CREATE SCHEMA shop; CREATE TABLE shop.quotes (id int); \
         CREATE TABLE shop.days (day date) PARTITION BY RANGE (day); \
         CREATE TABLE shop.today PARTITION OF shop.days DEFAULT;",
    )
    .unwrap();
    let ask = |arguments: &[&str]| triggers(&[&["--database-url", &url], arguments].concat());

    let before = ask(&["shop.quotes"]);
    assert_eq!((before.status.code(), printed(&before).as_str()), (Some(1), "shop.quotes  says nothing\n"));
    let none = ask(&[]);
    assert!(none.status.success() && printed(&none).starts_with("No table"), "{}", printed(&none));
    let sql = ask(&["--all-of", "shop", "--print"]);
    assert!(sql.status.success() && printed(&sql).contains("ON shop.today\n"), "{}", printed(&sql));
    assert_eq!(printed(&ask(&[])), printed(&none), "nothing has been done");

    let one = ask(&["shop.days", "--install"]);
    let expected = "shop.today  says when it is changed\nshop.days   says when it is changed\n";
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!((one.status.code(), lines(&printed(&one))), (Some(0), lines(expected)));
    // What was printed does the same.
    node.psql(&database, &printed(&sql)).unwrap();
    let all = ask(&["--json"]);
    let document: serde_json::Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!(document["tables"].as_array().unwrap().len(), 3);
    assert_eq!(document["tables"][0], serde_json::json!({ "table": "shop.days", "trigger": "enabled" }));

    assert!(ask(&["--all-of", "shop", "--remove"]).status.success());
    assert_eq!(printed(&ask(&[])), printed(&none));
}

#[test]
fn a_publication_is_made_told_and_taken_away() {
    let cluster = Cluster::start(&ClusterOptions::default().with_setting("wal_level", "logical")).unwrap();
    let (node, database) = (cluster.primary(), "postgres");
    let url = node.url(database);
    node.psql(
        database,
        "CREATE SCHEMA shop; CREATE TABLE shop.quotes (id int PRIMARY KEY); CREATE TABLE shop.log (line text); \
         CREATE TABLE shop.days (day date PRIMARY KEY) PARTITION BY RANGE (day); \
         CREATE TABLE shop.today PARTITION OF shop.days DEFAULT;",
    )
    .unwrap();
    let ask = |arguments: &[&str]| cache("publication", &[&["--database-url", &url], arguments].concat());

    let none = ask(&[]);
    assert!(
        none.status.success() && printed(&none).starts_with("No table is published"),
        "{}",
        printed(&none)
    );
    let before = ask(&["shop.quotes"]);
    assert_eq!(
        (before.status.code(), printed(&before).as_str()),
        (Some(1), "shop.quotes  is not published\n")
    );
    let sql = ask(&["--all-of", "shop", "--print"]);
    assert!(printed(&sql).contains("ADD TABLE ONLY shop.quotes") && !printed(&sql).contains("shop.log"));
    assert_eq!(printed(&ask(&[])), printed(&none), "nothing has been done");

    let one = ask(&["shop.today", "--install"]);
    let expected = "shop.days   is published\nshop.today  is published\n";
    assert_eq!((one.status.code(), printed(&one).as_str()), (Some(0), expected), "{}", stderr_of(&one));
    let all = ask(&["--all-of", "shop", "--install"]);
    let refused =
        "shop.log     is not published: it has no replica identity, so its UPDATE and DELETE would fail";
    assert_eq!(all.status.code(), Some(1));
    assert!(printed(&all).contains(refused), "{}", printed(&all));
    node.psql(database, "INSERT INTO shop.log VALUES ('x'); UPDATE shop.log SET line = 'y'").unwrap();
    let all = ask(&["--json"]);
    let document: serde_json::Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!(document["needs"], serde_json::json!([]));
    let line = serde_json::json!({ "table": "shop.quotes", "is_published": true, "is_usable": true, "trouble": null });
    let lines = document["tables"].as_array().unwrap();
    assert!(lines.len() == 3 && lines.contains(&line), "{document}");

    assert!(ask(&["--all-of", "shop", "--remove"]).status.success());
    assert_eq!(printed(&ask(&[])), printed(&none));
    node.psql(database, "CREATE PUBLICATION pgprime_changes FOR TABLE shop.quotes; ALTER TABLE shop.quotes DROP CONSTRAINT quotes_pkey")
        .unwrap();
    let broken = ask(&[]);
    assert!(broken.status.code() == Some(1) && printed(&broken).contains("its UPDATE and DELETE fail"));
}

#[test]
fn a_publication_that_nobody_could_hear_is_not_made() {
    let (node, database) = (cluster().primary(), cluster().test_database("cache").unwrap());
    let url = node.url(&database);
    node.psql(&database, "CREATE TABLE quotes (id int PRIMARY KEY)").unwrap();
    let ask = |arguments: &[&str]| cache("publication", &[&["--database-url", &url], arguments].concat());
    let refused = ask(&["quotes", "--install"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr_of(&refused).contains("set wal_level = logical"), "{}", stderr_of(&refused));
    assert_eq!(node.psql(&database, "SELECT count(*) FROM pg_publication").unwrap(), "0");
    assert!(printed(&ask(&[])).contains("To be heard: wal_level is replica"), "{}", printed(&ask(&[])));
    for (arguments, word) in [
        (vec!["--install"], "--all-of"),
        (vec!["quotes", "--remove", "--keys-only"], "--keys-only"),
        (vec!["nowhere", "--print"], "nowhere"),
    ] {
        let output = ask(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr_of(&output));
        assert!(stderr_of(&output).contains(word), "{arguments:?}: {}", stderr_of(&output));
    }
}

#[test]
fn what_cannot_be_done_says_why() {
    let (node, database) = (cluster().primary(), cluster().test_database("cache").unwrap());
    let url = node.url(&database);
    let nobody = format!("postgres://127.0.0.1:{}/x", free_port());
    for (arguments, code, word) in [
        (vec!["--install", "--database-url", &url], 2, "--all-of"),
        (vec!["nowhere", "--install", "--database-url", &url], 2, "nowhere"),
        (vec!["--all-of", "nowhere", "--database-url", &url], 2, "nowhere"),
        (vec!["a", "--install", "--remove", "--database-url", &url], 2, "--remove"),
        (vec!["a"], 2, "DATABASE_URL"),
        (vec!["a", "--database-url", &nobody], 3, "cannot reach"),
    ] {
        let output = triggers(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr_of(&output));
        assert!(stderr_of(&output).contains(word), "{arguments:?}: {}", stderr_of(&output));
    }
}
