//! Against a real PostgreSQL, and through real poolers with what was written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgprime_cluster::{Cluster, ClusterOptions, free_port};
use tempfile::TempDir;
use tokio_postgres::Config;

use super::files::open_to_all;
use super::{LOAD, command, json, plan, refused};
use crate::harness::{Client, Pooler, Setup, cluster, run, stderr_of, stdout_of};

const BINARY: &str = env!("CARGO_BIN_EXE_pgprime");
/// Names that have to be escaped wherever they stand.
const DATABASE: &str = "it's a \"shop\"";
const ROLE: &str = "app \"o'brien\"";
const PASSWORD: &str = "pass phrase";

#[test]
fn limits_load_and_settings_are_read() {
    let database = cluster().test_database("plan_live").unwrap();
    let primary = cluster().primary();
    primary.psql(&database, "CREATE EXTENSION pg_stat_statements; SELECT pg_sleep(0.05)").unwrap();
    let url = primary.url(&database);
    let document = json(&["--database-url", &url], 0);
    assert_eq!(document["inputs"]["max_connections"], 200);
    assert!(document["inputs"]["requests_per_s"].as_f64().unwrap() > 0.0);
    let mean = document["observed"]["statements"]["all"]["mean_ms"].clone();
    assert_eq!(document["inputs"]["service"]["mean_ms"], mean);
    assert!(document["machine"]["cores"].as_u64().unwrap() > 0, "the database is on this machine");
    assert_eq!(document["observed"]["server"]["database"], database.as_str());

    // Options win.
    let url_of_environment =
        command(&[&LOAD[..], &["--json"]].concat()).env("DATABASE_URL", &url).output().unwrap();
    let document: serde_json::Value = serde_json::from_str(&stdout_of(&url_of_environment)).unwrap();
    assert_eq!(document["inputs"]["max_connections"], 100);
    assert_eq!(document["total_min_connections"], 20);

    let machine = ["--cores", "8", "--memory", "32GB", "--database-url", &url];
    let text = stdout_of(&plan(&[&LOAD[..], &machine].concat()));
    assert!(text.contains("Read from the database") && text.contains("now 128MB"), "{text}");
}

#[test]
fn a_database_out_of_reach() {
    let closed = format!("postgresql://app:topsecret@127.0.0.1:{}/db", free_port());
    let nowhere = "postgresql://app:topsecret@no-such-host.invalid/db";
    for url in [closed.as_str(), nowhere] {
        let output = plan(&[&LOAD[..], &["--database-url", url]].concat());
        refused(&output, 3, "cannot reach the database: ");
        assert!(!stderr_of(&output).contains("topsecret"), "{}", stderr_of(&output));
    }
    for url in ["postgresql://app:topsecret@127.0.0.1:nine/db", "topsecret", "mysql://app:topsecret@h/db"] {
        let output = plan(&[&LOAD[..], &["--database-url", url]].concat());
        refused(&output, 2, "--database-url is not the address of a database");
        assert!(!stderr_of(&output).contains("topsecret"), "{}", stderr_of(&output));
    }
}

/// A cluster that asks for passwords over TCP, with names that have to be escaped, and the URL of its superuser.
fn guarded() -> (Cluster, String) {
    let options = ClusterOptions::default().with_hba(["host all all 127.0.0.1/32 scram-sha-256"]);
    let cluster = Cluster::start(&options).unwrap();
    let (role, database) = (ROLE.replace('"', "\"\""), DATABASE.replace('"', "\"\""));
    let primary = cluster.primary();
    primary.psql("postgres", &format!("CREATE DATABASE \"{database}\"")).unwrap();
    let roles = format!(
        "SET password_encryption = 'scram-sha-256';\n\
         ALTER ROLE postgres PASSWORD '{PASSWORD}'; CREATE ROLE \"{role}\" LOGIN PASSWORD '{PASSWORD}';\n\
         CREATE ROLE pgbouncer_stats LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE nobody_reads LOGIN PASSWORD '{PASSWORD}';\n\
         SET password_encryption = 'md5'; CREATE ROLE old_timer LOGIN PASSWORD '{PASSWORD}';"
    );
    primary.psql("postgres", &roles).unwrap();
    let url = url_of(&cluster, "postgres", "pass%20phrase");
    (cluster, url)
}

fn url_of(cluster: &Cluster, user: &str, password: &str) -> String {
    format!("postgresql://{user}:{password}@127.0.0.1:{}/it's%20a%20%22shop%22", cluster.primary().port())
}

#[test]
fn a_password_is_never_shown() {
    let (cluster, url) = guarded();
    let dir = TempDir::new().unwrap();
    let folder = dir.path().to_str().unwrap();
    let verifier = |role: &str| {
        let sql = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'");
        cluster.primary().psql("postgres", &sql).unwrap()
    };
    for arguments in [&[][..], &["--json"], &["--write", folder], &["--json", "--write", folder, "--force"]] {
        let output = plan(&[&LOAD[..], &["--database-url", &url], arguments].concat());
        let said = stdout_of(&output) + &stderr_of(&output);
        assert!(!said.contains(PASSWORD) && !said.contains("pass%20phrase"), "{said}");
        assert!(!said.contains(&verifier("postgres")) && !said.contains(&verifier("old_timer")), "{said}");
    }
    let users = dir.path().join("config/pgbouncer_userlist.txt");
    assert_eq!(fs::metadata(&users).unwrap().permissions().mode() & 0o777, 0o600);
    for path in fs::read_dir(dir.path().join("config")).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(!text.contains(PASSWORD) && !text.contains("pass%20phrase"), "{}", path.display());
        assert_eq!(text.contains(&verifier("postgres")), path == users, "{}", path.display());
        assert!(!text.contains(&verifier("old_timer")), "not a verifier that these settings can use");
    }
    let wrong = url_of(&cluster, "postgres", "topsecret");
    let output = plan(&[&LOAD[..], &["--database-url", &wrong]].concat());
    refused(&output, 3, "password authentication failed");
    assert!(!stderr_of(&output).contains("topsecret"));

    // Who may not read verifiers gets everything else.
    let ordinary = url_of(&cluster, "nobody_reads", "pass%20phrase");
    let other = TempDir::new().unwrap();
    let output = plan(
        &[&LOAD[..], &["--database-url", &ordinary, "--write", other.path().to_str().unwrap()]].concat(),
    );
    assert!(stdout_of(&output).contains("No file of users"));
    assert!(!other.path().join("config/pgbouncer_userlist.txt").exists());
    assert!(other.path().join("config/pgbouncer.ini").exists());
}

/// Starts a pooler with the written files: only the port and the place of the users are others.
fn pooler_with(config: &Path, program: impl Fn(&Path) -> Command) -> Pooler {
    Pooler::start_as(Setup::new(), |given| {
        let dir = given.parent().unwrap();
        open_to_all(dir);
        let harness = fs::read_to_string(given).unwrap();
        let port = harness.lines().find(|line| line.starts_with("listen_port")).unwrap();
        let users = dir.join("plan_users.txt");
        fs::copy(config.join("pgbouncer_userlist.txt"), &users).unwrap();
        fs::set_permissions(&users, fs::Permissions::from_mode(0o644)).unwrap();
        let written = fs::read_to_string(config.join("pgbouncer.ini")).unwrap();
        let text = written
            .replace("listen_port = 6432", port)
            .replace("/etc/pgbouncer/userlist.txt", users.to_str().unwrap());
        fs::write(given, text).unwrap();
        program(given)
    })
}

/// A query of the application's role through the pooler, and the console's.
fn serves(pooler: &Pooler) {
    run(async {
        let mut config = Config::new();
        config.host("127.0.0.1").port(pooler.port()).password(PASSWORD);
        let app = config.clone().user(ROLE).dbname(DATABASE).to_owned();
        let client = Client::connect_with(&app).await.unwrap();
        assert_eq!(client.value("SELECT current_user").await.unwrap(), ROLE);
        assert_eq!(client.value("SELECT current_database()").await.unwrap(), DATABASE);
        let wrong = app.clone().password("wrong").to_owned();
        assert!(Client::connect_with(&wrong).await.is_err());
        let console = config.user("pgbouncer_stats").dbname("pgbouncer").to_owned();
        let console = Client::connect_with(&console).await.unwrap();
        let rows = console.rows("SHOW CONFIG").await.unwrap();
        let size = rows.iter().find(|row| row.get("key") == Some("default_pool_size")).unwrap();
        assert_eq!(size.get("value"), Some("25"));
    });
}

fn pgbouncer_program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}

#[test]
fn poolers_serve_with_what_was_written() {
    let (_cluster, url) = guarded();
    let dir = TempDir::new().unwrap();
    let arguments = ["--database-url", &url, "--write", dir.path().to_str().unwrap()];
    let text = stdout_of(&plan(&[&LOAD[..], &arguments].concat()));
    assert!(text.contains("\"old_timer\""), "{text}");
    let config = dir.path().join("config");

    let own = pooler_with(&config, |config| {
        let mut command = Command::new(BINARY);
        command.arg("pooler").arg(config);
        command
    });
    // What it thinks of the configuration it says before it listens.
    assert!(!own.log().contains("WARN"), "{}", own.log());
    serves(&own);

    let Some(program) = pgbouncer_program() else {
        eprintln!("PgBouncer is not installed: only the built-in pooler was tested");
        return;
    };
    let bouncer = pooler_with(&config, |config| {
        let mut command = Command::new(&program);
        // It does not run as root.
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "postgres"]);
        }
        command.arg(config);
        command
    });
    assert!(!bouncer.log().contains("WARNING") && !bouncer.log().contains("ERROR"), "{}", bouncer.log());
    serves(&bouncer);
}
