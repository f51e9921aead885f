//! Files of a plan, and how they are written.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use pgprime_capacity::{Inputs, Plan, ServiceTime, plan};
use pgprime_planner::files::{Database, Existing, FileInputs, PlannedFile, User, WriteError, files, write};
use tempfile::TempDir;

use crate::expected::check;

fn planned(plan: &Plan, users: Option<&[User]>) -> Vec<PlannedFile> {
    files(&FileInputs {
        plan,
        command: "pgprime plan --rps 1000",
        database: &Database::default(),
        settings: &[],
        hardware: "",
        users,
    })
}

fn plan_of(change: impl FnOnce(&mut Inputs)) -> Plan {
    let mut inputs = Inputs::new(1_000.0, ServiceTime::exponential(20.0).unwrap(), 5, 100);
    change(&mut inputs);
    plan(&inputs).unwrap()
}

fn user(name: &str) -> User {
    User { name: name.to_owned(), verifier: "SCRAM-SHA-256$4096:salt$stored:server".to_owned() }
}

fn text<'a>(files: &'a [PlannedFile], name: &str) -> &'a str {
    &files.iter().find(|file| file.path.ends_with(name)).unwrap().text
}

#[test]
fn the_documented_files() {
    let files = planned(&plan_of(|_| {}), None);
    for name in ["pgbouncer.ini", "pgprime-pooler.service", "env.example"] {
        check(name, text(&files, name));
    }
}

/// No place in a template is left open, and no file has a number that its reader refuses.
#[test]
fn files_of_extreme_plans() {
    for change in [
        |inputs: &mut Inputs| inputs.users = Some(1),
        |inputs: &mut Inputs| inputs.users = Some(4_000_000),
        |inputs: &mut Inputs| inputs.instances = 1_000,
        |inputs: &mut Inputs| inputs.requests_per_s = 1_000_000.0,
        |inputs: &mut Inputs| inputs.requests_per_s = 1e-6,
        |inputs: &mut Inputs| inputs.wait_ms_p99_target = Some(1e7),
        |inputs: &mut Inputs| inputs.has_replica = true,
    ] {
        for file in planned(&plan_of(change), Some(&[user("app")])) {
            assert!(!file.text.contains('{') && !file.text.contains('}'), "{}", file.text);
            assert!(file.text.ends_with('\n') && !file.text.ends_with("\n\n"), "{}", file.path.display());
            for zero in
                ["default_pool_size = 0", "max_client_conn = 0", "POOL_MAX=0", "max_db_connections = 0"]
            {
                assert!(!file.text.contains(zero), "{}", file.text);
            }
        }
    }
}

#[test]
fn a_replica_has_its_variable() {
    let env = |has_replica| {
        let files = planned(&plan_of(|inputs| inputs.has_replica = has_replica), None);
        text(&files, "env.example").contains("\nDATABASE_READ_URL=")
    };
    assert!(env(true) && !env(false));
}

#[test]
fn secrets_are_their_owners_alone_and_never_shown() {
    let dir = TempDir::new().unwrap();
    let files = planned(&plan_of(|_| {}), Some(&[user("app")]));
    let paths = write(dir.path(), &files, Existing::Keep).unwrap();
    let users = paths.iter().find(|path| path.ends_with("pgbouncer_userlist.txt")).unwrap();
    assert_eq!(fs::metadata(users).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(
        fs::read_to_string(users).unwrap().ends_with("\"app\" \"SCRAM-SHA-256$4096:salt$stored:server\"\n")
    );
    assert!(!format!("{files:?}").contains("stored"));

    // A file that everybody could read is replaced by one that only its owner can.
    fs::set_permissions(users, fs::Permissions::from_mode(0o644)).unwrap();
    write(dir.path(), &files, Existing::Replace).unwrap();
    assert_eq!(fs::metadata(users).unwrap().permissions().mode() & 0o777, 0o600);
}

fn file(name: &str) -> PlannedFile {
    PlannedFile { path: name.into(), text: "new\n".to_owned(), is_secret: false }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn all_or_nothing() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("b"), "old\n").unwrap();
    symlink("nowhere", dir.path().join("c")).unwrap();
    let error = write(dir.path(), &[file("a"), file("b"), file("c")], Existing::Keep).unwrap_err();
    let WriteError::Exists { paths } = &error else { panic!("{error}") };
    assert_eq!(*paths, [dir.path().join("b"), dir.path().join("c")]);
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(names(dir.path()), ["b", "c"]);

    // The second cannot be written, so the first is taken back.
    fs::write(dir.path().join("file"), "").unwrap();
    let error = write(dir.path(), &[file("a"), file("file/d")], Existing::Keep).unwrap_err();
    assert!(error.to_string().contains("file/d"), "{error}");
    assert_eq!(names(dir.path()), ["b", "c", "file"]);

    // Replaced is the link itself, not what it leads to.
    write(dir.path(), &[file("a"), file("b"), file("c")], Existing::Replace).unwrap();
    assert_eq!(names(dir.path()), ["a", "b", "c", "file"]);
    assert_eq!(fs::read_to_string(dir.path().join("c")).unwrap(), "new\n");
    assert!(!dir.path().join("nowhere").exists());
}
