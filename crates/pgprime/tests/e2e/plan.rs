//! `pgprime plan`: numbers, refusals, files, and the programs that read the files.

mod files;
mod live;
mod numbers;

use std::process::{Command, Output, Stdio};

use crate::harness::stderr_of;

/// The load of the documentation.
const LOAD: [&str; 8] =
    ["--rps", "1000", "--service-ms", "20", "--db-max-connections", "100", "--instances", "5"];
/// The load and the machine that `config/` in the repository is calculated from.
const MACHINE: [&str; 8] = ["--users", "10000", "--cores", "8", "--memory", "32GB", "--storage", "ssd"];

/// The command, with no database of the environment.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgprime"));
    command.arg("plan").args(arguments).env_remove("DATABASE_URL").stdin(Stdio::null());
    command
}

fn plan(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// The JSON document that a command prints; it ends with this code.
#[track_caller]
fn json(arguments: &[&str], code: i32) -> serde_json::Value {
    let output = plan(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr_of(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A refusal: the code, a sentence that holds the words, and nothing on standard output.
#[track_caller]
fn refused(output: &Output, code: i32, words: &str) {
    let said = stderr_of(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "expected {words:?} in: {said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}
