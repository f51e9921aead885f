//! `pgprime cache triggers`: made, told, taken away, and refused.

use std::process::{Command, Output, Stdio};

use pgprime_cluster::free_port;

use crate::harness::{cluster, stderr_of};

fn triggers(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command.args(["cache", "triggers"]).args(arguments).env_remove("DATABASE_URL");
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
