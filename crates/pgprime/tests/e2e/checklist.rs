//! `pgprime checklist`: what it takes from the configuration, and from the pgprime that runs.

use std::process::{Command, Output, Stdio};

use pgprime_cluster::free_port;
use serde_json::Value;

use crate::harness::{cluster, stderr_of, wait_until};
use crate::run::Running;

fn checklist(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    for name in ["DATABASE_URL", "PGPRIME_POOLER_URL", "PGPRIME_PGBOUNCER_URL", "PGPRIME_CONFIG"] {
        command.env_remove(name);
    }
    for name in ["PGPRIME_API_URL", "PGPRIME_API_TOKEN"] {
        command.env_remove(name);
    }
    command.arg("checklist").args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What is found of an item.
fn verdict(report: &Value, id: &str) -> String {
    let items = report["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["id"] == id).unwrap_or_else(|| panic!("no {id}: {report}"));
    item["verdict"].as_str().unwrap().to_owned()
}

fn report(arguments: &[&str]) -> (Value, String) {
    let output = checklist(&[&["--json"], arguments].concat());
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", stderr_of(&output));
    (serde_json::from_slice(&output.stdout).unwrap(), stderr_of(&output))
}

#[test]
fn what_only_the_running_one_knows_is_asked_of_it() {
    let (node, database) = (cluster().primary(), cluster().test_database("checklist").unwrap());
    let url = node.url(&database);
    let config = |api: &str| {
        format!("[database]\nurl = '{url}'\n[pooler]\nstats_users = 'watcher'\nauth_type = 'any'\n{api}")
    };
    let running = Running::start(None, Some(&config("")), &[]);
    wait_until("there was a look", || running.check("database.up").as_deref() == Some("ok"));
    let asked = format!(
        "{}\n[api]\nlisten = '{}'\n",
        config(&format!("listen_port = {}", running.pooler_port())),
        running.api()
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), asked).unwrap();
    let path = file.path().to_str().unwrap();

    // Database, pooler and the running one all from the configuration.
    let (found, said) = report(&["--config", path]);
    assert_eq!(verdict(&found, "monitoring.health"), "met", "{found} {said}");
    assert_eq!(verdict(&found, "application.pooling"), "met", "{found} {said}");

    let at = format!("http://{}", running.api());
    let (found, said) = report(&["--database-url", &url, "--api-url", &at]);
    assert_eq!(verdict(&found, "monitoring.health"), "met", "{found} {said}");

    // What it knows of one database is nothing about another.
    let other = node.url(&cluster().test_database("checklist").unwrap());
    let (found, said) = report(&["--database-url", &other, "--api-url", &at]);
    assert_eq!(verdict(&found, "monitoring.health"), "cannot_tell", "{found}");
    assert!(said.contains(&format!("watches {database}")), "{said}");
    let (found, said) = report(&["--database-url", &other, "--config", path]);
    assert_eq!((verdict(&found, "monitoring.health").as_str(), said.as_str()), ("cannot_tell", ""));

    let nobody = format!("http://127.0.0.1:{}", free_port());
    let output = checklist(&["--database-url", &url, "--api-url", &nobody]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("nothing answers"), "{}", stderr_of(&output));
}

#[test]
fn one_that_wants_a_token_says_so() {
    let (node, database) = (cluster().primary(), cluster().test_database("checklist").unwrap());
    let url = node.url(&database);
    let made = Command::new(env!("CARGO_BIN_EXE_pgprime")).args(["token", "cli"]).output().unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let (token, lines) = made.split_once('\n').unwrap();
    let config = format!("[pooler]\nenabled = false\n{lines}");
    let running = Running::start(Some(&url), Some(&config), &[]);
    let at = format!("http://{}", running.api());
    let (_, said) = report(&["--database-url", &url, "--api-url", &at]);
    assert!(said.contains("PGPRIME_API_TOKEN"), "{said}");
    let (found, said) = report(&["--database-url", &url, "--api-url", &at, "--api-token", token]);
    assert!(found["running"].is_object() && said.is_empty(), "{found} {said}");
}
