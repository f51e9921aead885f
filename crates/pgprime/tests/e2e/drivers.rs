//! Drivers of other languages: each script of `tests/drivers` works through a pooler and ends with an error on any
//! wrong answer.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Pooler, Setup, cluster, stderr_of, wait_until};

/// The folder of the package.
const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

fn drivers() -> PathBuf {
    Path::new(PACKAGE).join("tests/drivers")
}

/// The Python of the drivers, which `scripts/setup.sh test` installs.
fn python() -> Command {
    let path = Path::new(PACKAGE).join("../../.venv/bin/python");
    assert!(path.exists(), "the Python drivers are missing: run scripts/setup.sh test");
    Command::new(path)
}

fn node() -> Command {
    let is_there = drivers().join("node_modules/pg").exists();
    assert!(is_there, "the Node.js drivers are missing: run scripts/setup.sh test");
    Command::new("node")
}

/// Runs a script in front of fewer servers than it has clients.
fn check(mut interpreter: Command, script: &str, address: fn(&Pooler, &str) -> String) {
    let database = cluster().test_database("driver").unwrap();
    let single = format!("{database}_single");
    let setup = Setup::new()
        .database(cluster().primary(), &database, "pool_size=3")
        .database(cluster().primary(), &single, &format!("dbname={database} pool_size=1"))
        .workers(2);
    let pooler = Pooler::start(setup);
    let mut command = interpreter.arg(drivers().join(script)).arg(address(&pooler, &database));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command = command.env_remove(name);
    }
    command.env("SINGLE", address(&pooler, &single)).env("DIRECT", cluster().primary().url(&database));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}: {}\n{}", output.status, stderr_of(&output));
    let busy =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state <> 'idle'");
    wait_until("nothing runs any more", || cluster().primary().psql("postgres", &busy).unwrap() == "0");
}

#[test]
fn psycopg() {
    check(python(), "psycopg_driver.py", Pooler::conninfo);
}

#[test]
fn asyncpg() {
    check(python(), "asyncpg_driver.py", Pooler::url);
}

#[test]
fn node_pg() {
    check(node(), "pg_driver.js", Pooler::url);
}
