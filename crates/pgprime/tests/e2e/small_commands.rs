//! What surrounds `pgprime run`: a configuration, tokens, alerts, completions, manual pages and the reference.

mod alerts;
mod init;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::{stderr_of, stdout_of};

const BINARY: &str = env!("CARGO_BIN_EXE_pgprime");

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    for name in ["DATABASE_URL", "DATABASE_READ_URL", "PGPRIME_PGBOUNCER_URL", "PGPRIME_CONFIG"] {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn pgprime(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// It ended with this code and these words, and printed no report.
fn refused(output: &Output, code: i32, words: &str) {
    let said = stderr_of(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_token_is_printed_once_with_the_lines_for_the_configuration() {
    let text = stdout_of(&pgprime(&["token", "the \"wall\"", "--role", "analyze"]));
    let (token, lines) = text.split_once('\n').unwrap();
    assert!(token.starts_with("pgprime_") && token.len() == 72, "{token}");
    assert!(!lines.contains(token), "{text}");
    // With `[api]` before them, as they are to stand.
    let read: toml::Table = toml::from_str(lines).unwrap();
    let config = pgprime_api::ApiConfig::from_table(read["api"].as_table().unwrap().clone()).unwrap();
    assert_eq!((config.tokens[0].name.as_str(), config.tokens[0].role.name()), ("the \"wall\"", "analyze"));
    let other = stdout_of(&pgprime(&["token", "grafana"]));
    assert!(other.contains("role = \"read\"") && !other.contains(token), "{other}");

    refused(&pgprime(&["token", " "]), 2, "give the token a name");
    refused(&pgprime(&["token", "a", "--role", "root"]), 2, "invalid value 'root'");
    refused(&pgprime(&["token"]), 2, "<NAME>");
}

#[test]
fn completions_know_every_command_and_no_secret() {
    for shell in ["bash", "zsh", "fish"] {
        let output =
            command(&["completions", shell]).env("DATABASE_URL", "postgres://u:topsecret@h/d").output();
        let script = stdout_of(&output.unwrap());
        for word in ["slow-queries", "init", "fail-at", "critical"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("topsecret"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pgprime.bash");
    fs::write(&path, stdout_of(&pgprime(&["completions", "bash"]))).unwrap();
    let bash = Command::new("bash").arg("-n").arg(&path).output().unwrap();
    assert!(bash.status.success(), "{}", stderr_of(&bash));
    refused(&pgprime(&["completions", "cmd"]), 2, "invalid value 'cmd'");
}

#[test]
fn manual_pages_for_each_command() {
    let page = stdout_of(&pgprime(&["man"]));
    assert!(page.contains(".TH pgprime 1") && page.contains("pgprime\\-run(1)"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("share/man1");
    let output =
        command(&["man", man.to_str().unwrap()]).env("DATABASE_URL", "postgres://u:topsecret@h/d").output();
    assert!(stdout_of(&output.unwrap()).contains("pgprime.1"));
    let pages: Vec<_> = fs::read_dir(&man).unwrap().map(|entry| entry.unwrap().path()).collect();
    for name in ["pgprime.1", "pgprime-init.1", "pgprime-alerts-test.1", "pgprime-run.1"] {
        assert!(pages.contains(&man.join(name)), "{pages:?}");
    }
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH NAME") && !text.contains("topsecret"), "{}", page.display());
    }
    let init = fs::read_to_string(man.join("pgprime-init.1")).unwrap();
    assert!(init.contains("DATABASE_URL") && init.contains(".SH NOTES\nExample: "), "{init}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    refused(&pgprime(&["man", file.to_str().unwrap()]), 2, "cannot make the folder");
}

#[test]
fn the_reference_is_what_the_code_says() {
    let text = stdout_of(&pgprime(&["reference"])) + "\n";
    for part in ["settings", "checks", "pooler"] {
        let of_part = stdout_of(&pgprime(&["reference", part]));
        assert!(of_part.starts_with("## ") && text.contains(&of_part), "{part}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let line = kept.lines().zip(text.lines()).find(|(kept, now)| kept != now);
    assert!(
        kept == text,
        "docs/reference.md is not what the code says ({line:?}): \
         UPDATE=1 cargo test -p pgprime --test e2e the_reference_is_what_the_code_says writes it anew"
    );
}
