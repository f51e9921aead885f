//! `pgprime health`: reports, exit codes, refusals, and watching until it is told to end.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgprime_cluster::free_port;

use crate::harness::{Pooler, Setup, cluster, stderr_of};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command
        .arg("health")
        .args(arguments)
        .env_remove("DATABASE_URL")
        .env_remove("PGPRIME_POOLER_URL")
        .env_remove("PGPRIME_PGBOUNCER_URL")
        .env_remove("PGPRIME_CONFIG")
        .stdin(Stdio::null());
    command
}

fn health(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// A configuration by which only what is asked for can be bad.
fn config(health: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), health).unwrap();
    file
}

#[test]
fn a_report_with_exit_codes_by_level() {
    let (node, database) = (cluster().primary(), cluster().test_database("health").unwrap());
    let url = node.url(&database);
    // Any size is a warning here, and no other check can be critical by its value.
    let config = config(
        "[health.thresholds]\n\"disk.database_bytes\" = { warning = 1 }\n\"disk.free\" = { warning = 1 }",
    );
    let path = config.path().display().to_string();
    let with = |more: &[&str]| health(&[&["--database-url", &url, "--config", &path], more].concat());
    let output = with(&[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}{}", stderr_of(&output));
    assert!(text.contains("WARNING  Size of the database"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let output = with(&["--json", "--fail-at", "critical"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let critical = report["status"] == "critical";
    assert_eq!(output.status.code(), Some(i32::from(critical)), "{report}");
    let checks = report["checks"].as_array().unwrap();
    let size = checks.iter().find(|check| check["id"] == "disk.database_bytes").unwrap();
    assert_eq!(
        (&size["status"], &size["thresholds"]["critical"]),
        (&"warning".into(), &serde_json::Value::Null)
    );
    assert!(checks.iter().any(|check| check["id"] == "bloat.tables"), "{report}");
}

#[test]
fn a_database_out_of_reach_and_wrong_usage() {
    let away = format!("postgres://app:secret@127.0.0.1:{}/app", free_port());
    let output = health(&["--database-url", &away]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("CRITICAL") && !text.contains("secret"), "{text}");

    let unknown = config("[health.thresholds]\n\"connections.usde\" = { warning = 1 }");
    let path = unknown.path().display().to_string();
    for (arguments, said) in [
        (vec![], "--database-url or DATABASE_URL is needed"),
        (vec!["--database-url", "nonsense"], "not the address of a database"),
        (vec!["--database-url", &away, "--config", &path], "there is no check \"connections.usde\""),
        (vec!["--database-url", &away, "--config", "/no/such/file"], "cannot read /no/such/file"),
        (vec!["--database-url", &away, "--fail-at", "sometimes"], "invalid value"),
    ] {
        let output = health(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr_of(&output).contains(said), "{arguments:?}: {}", stderr_of(&output));
    }
}

#[test]
fn watching_prints_a_line_for_each_look_until_it_is_interrupted() {
    let url = cluster().primary().url(&cluster().test_database("health_watch").unwrap());
    let arguments = ["--database-url", &url, "--watch", "1", "--json", "--fail-at", "critical"];
    let mut child = command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reports: Vec<serde_json::Value> =
        lines.take(2).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert!(reports.iter().all(|report| report["server_version"].is_string()), "{reports:?}");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let status = child.wait().unwrap();
    assert!(status.code().is_some_and(|code| code < 2), "{status:?}");
}

/// The report on the pooler: what is found of it, and what is said beside the report.
fn pooler_up(arguments: &[&str]) -> (Option<String>, String) {
    let output = health(&[arguments, &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "pooler.up");
    (check.map(|check| check["status"].as_str().unwrap().to_owned()), stderr_of(&output))
}

#[test]
fn database_and_pooler_of_the_configuration() {
    let (node, database) = (cluster().primary(), cluster().test_database("health").unwrap());
    let pooler = Pooler::start(Setup::new().database(node, &database, "").set("stats_users", "watcher"));
    let (url, port) = (node.url(&database), pooler.port());
    let found = |text: &str, more: &[&str]| {
        let file = config(text);
        pooler_up(&[&["--config", file.path().to_str().unwrap()], more].concat())
    };
    let well = (Some("ok".to_owned()), String::new());
    let own = format!("[database]\nurl = '{url}'\n");
    let console = format!("postgres://postgres@127.0.0.1:{port}/pgbouncer");
    let bouncer = format!("{own}[pgbouncer]\nurl = '{console}'\n");
    assert_eq!(found(&bouncer, &[]), well);
    // The built-in one, whose console is found by its settings.
    let settings = format!("auth_type = 'trust'\nunix_socket_dir = ''\nlisten_port = {port}");
    let built_in = format!("{own}[pooler]\n{settings}\n");
    assert_eq!(found(&format!("{built_in}admin_users = 'postgres'"), &[]), well);
    let folder = pooler.dir().to_str().unwrap();
    assert_eq!(found(&built_in.replace("_dir = ''", &format!("_dir = '{folder}'")), &[]), well);
    let (check, said) = found(&built_in, &[]);
    assert!(check.is_none() && said.contains("stats_users"), "{check:?} {said}");
    // Where it should be, and is not.
    let away = format!("[pooler]\nlisten_port = {}\nunix_socket_dir = ''\n", free_port());
    let (check, said) = found(&format!("{own}{away}auth_type = 'any'\nstats_users = 's'"), &[]);
    assert_eq!((check.as_deref(), said.as_str()), (Some("critical"), ""));
    // One that was named counts more, and another database has nothing to do with it.
    assert_eq!(found(&format!("{own}{away}"), &["--pooler-url", &console]), well);
    let other = node.url(&cluster().test_database("health").unwrap());
    assert_eq!(found(&bouncer, &["--database-url", &other]), (None, String::new()));
    // Without a word of a pooler nobody looks for one.
    assert_eq!(found(&own, &[]), (None, String::new()));
}
