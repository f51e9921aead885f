//! The files, and the programs that read them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgprime_cluster::{Cluster, ClusterOptions, Installation};
use tempfile::TempDir;

use super::{LOAD, MACHINE, json, plan, refused};
use crate::harness::{stderr_of, stdout_of};

/// Writes the files of a plan; gives their folder.
fn written(arguments: &[&str]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    stdout_of(&plan(&[arguments, &["--write", &path]].concat()));
    dir
}

/// Every file below a folder by its path.
fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), text);
            }
        }
    }
    found
}

/// The repository's own `config/` is what the command writes.
#[test]
fn the_published_files_are_those_of_the_command() {
    let dir = written(&[&LOAD[..], &MACHINE].concat());
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let (published, written) = (tree(&published), tree(&dir.path().join("config")));
    for (path, text) in &written {
        assert_eq!(published.get(path), Some(text), "config/{} is out of date", path.display());
    }
    assert_eq!(written.len(), 6);
}

#[test]
fn nothing_is_overwritten_unless_asked_for() {
    let dir = written(&LOAD);
    let folder = dir.path().to_str().unwrap();
    let before = tree(dir.path());
    let other = [&LOAD[..], &["--pool-size", "30", "--write", folder]].concat();
    fs::remove_file(dir.path().join("config/env.example")).unwrap();
    refused(&plan(&other), 2, "config/pgbouncer.ini");
    assert!(!dir.path().join("config/env.example").exists(), "all or nothing");
    let changed = |path: &PathBuf| tree(dir.path()).get(path) != before.get(path);
    assert!(before.keys().all(|path| path.ends_with("env.example") || !changed(path)));

    stdout_of(&plan(&[&other[..], &["--force"]].concat()));
    let text = fs::read_to_string(dir.path().join("config/pgbouncer.ini")).unwrap();
    assert!(text.contains("\ndefault_pool_size = 30\n"));
    assert_eq!(tree(dir.path()).len(), before.len(), "nothing else is left behind");
}

#[test]
fn what_is_in_the_way_is_said() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().to_str().unwrap();
    fs::write(dir.path().join("config"), "a file").unwrap();
    refused(&plan(&[&LOAD[..], &["--write", folder]].concat()), 2, "config");
    fs::remove_file(dir.path().join("config")).unwrap();
    fs::create_dir_all(dir.path().join("config/pgbouncer.ini")).unwrap();
    refused(&plan(&[&LOAD[..], &["--write", folder, "--force"]].concat()), 2, "is not a file");
    refused(&plan(&[&LOAD[..], &["--write", "/proc/nowhere"]].concat()), 2, "/proc/nowhere");
}

#[test]
fn written_here_unless_a_folder_is_named() {
    let dir = TempDir::new().unwrap();
    let arguments = [&LOAD[..], &["--write", "--svg", "wait.svg", "--json"]].concat();
    let output = super::command(&arguments).current_dir(dir.path()).output().unwrap();
    let document: serde_json::Value = serde_json::from_str(&stdout_of(&output)).unwrap();
    assert_eq!(document["files"].as_array().unwrap().len(), 6);
    let svg = fs::read_to_string(dir.path().join("wait.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(dir.path().join("config/pgprime-pooler.service").exists());
    let mode = fs::metadata(dir.path().join("config/pgbouncer.ini")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0);
}

/// The calculated numbers arrive in the files, whatever they are.
#[test]
fn the_numbers_are_in_the_files() {
    let arguments = ["--rps", "300", "--service-ms", "10", "--users", "500", "--instances", "2"];
    let document = json(&arguments, 0);
    let dir = written(&arguments);
    let text = |name: &str| fs::read_to_string(dir.path().join("config").join(name)).unwrap();
    let ini = text("pgbouncer.ini");
    for (name, value) in [
        ("max_client_conn", 500.into()),
        ("default_pool_size", document["pool_size"].clone()),
        ("min_pool_size", document["pool_size_min"].clone()),
        ("reserve_pool_size", document["pool_size_reserve"].clone()),
        ("max_db_connections", document["total_max_connections"].clone()),
    ] {
        assert!(ini.contains(&format!("\n{name} = {value}\n")), "{name} = {value} in {ini}");
    }
    let main = &document["pools"][0];
    assert!(text("env.example").contains(&format!("DATABASE_POOL_MAX={}\n", main["max_connections"])));
    let files = 500 + document["total_max_connections"].as_u64().unwrap() + 1_024;
    for unit in ["pgprime-pooler.service", "pgbouncer.service.d/limits.conf"] {
        assert!(text(unit).contains(&format!("\nLimitNOFILE={files}\n")), "{}", text(unit));
    }
    assert!(!dir.path().join("config/postgresql.conf").exists(), "the machine is not known");
}

/// A server starts with the lines included, and takes each of them.
#[test]
fn postgresql_takes_the_settings() {
    let own = Installation::find().unwrap().version_major().to_string();
    for version in ["13", &own] {
        let machine = ["--cores", "2", "--memory", "512MB", "--storage", "nvme", "--pg-version", version];
        let dir = written(&[&LOAD[..], &machine].concat());
        let path = dir.path().join("config/postgresql.conf");
        open_to_all(dir.path());
        let options = ClusterOptions::default().with_setting("include", path.to_str().unwrap());
        let cluster = Cluster::start(&options).unwrap();
        let ask = |sql: &str| cluster.primary().psql("postgres", sql).unwrap();
        let wrong = "SELECT name || ': ' || error FROM pg_file_settings WHERE error IS NOT NULL";
        assert_eq!(ask(wrong), "");
        assert_eq!(ask("SHOW shared_buffers"), "128MB");
        assert_eq!(ask("SHOW shared_preload_libraries"), "pg_stat_statements");
        let taken = format!(
            "SELECT count(*) FROM pg_file_settings WHERE applied AND sourcefile = '{}'",
            path.display()
        );
        let lines = fs::read_to_string(&path).unwrap();
        let expected = lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        assert_eq!(ask(&taken), expected.to_string());
    }
}

/// Others than the owner may look at what is in a folder.
pub(super) fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// systemd's own judgement, where systemd is installed.
#[test]
fn systemd_takes_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not installed: units not verified");
        return;
    }
    let dir = written(&LOAD);
    let config = dir.path().join("config");
    let unit = config.join("pgprime-pooler.service");
    let text = fs::read_to_string(&unit).unwrap();
    // The program is verified to be there.
    fs::write(&unit, text.replace("/usr/local/bin/pgprime", env!("CARGO_BIN_EXE_pgprime"))).unwrap();
    let bouncer = config.join("pgbouncer.service");
    fs::write(&bouncer, "[Service]\nExecStart=/bin/true\n").unwrap();
    for unit in [unit, bouncer] {
        let output =
            Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&unit).output().unwrap();
        let said = stderr_of(&output);
        assert!(output.status.success() && !said.contains(config.to_str().unwrap()), "{said}");
    }
}
