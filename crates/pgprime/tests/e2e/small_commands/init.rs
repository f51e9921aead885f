//! `pgprime init`: what it writes, and that everything else of pgprime takes it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use pgprime_cluster::{Cluster, ClusterOptions, free_port};

use super::{BINARY, command, pgprime, refused};
use crate::harness::{Client, Pooler, Setup, cluster, run, stderr_of, stdout_of, wait_until};

/// Runs everything with this configuration; only the ports and the folder of histories are the test's.
fn system_with(config: &Path, url: Option<&str>) -> Pooler {
    Pooler::start_as(Setup::new(), |given| {
        let ini = fs::read_to_string(given).unwrap();
        let port = ini.lines().find_map(|line| line.strip_prefix("listen_port = ")).unwrap().to_owned();
        let mut command = Command::new(BINARY);
        command.args(["run", "--listen", "127.0.0.1:0", "--pooler-port", &port, "--config"]).arg(config);
        command.arg("--state").arg(given.with_file_name("state"));
        for name in ["DATABASE_READ_URL", "PGPRIME_PGBOUNCER_URL", "REDIS_URL"] {
            command.env_remove(name);
        }
        match url {
            Some(url) => command.env("DATABASE_URL", url),
            None => command.env_remove("DATABASE_URL"),
        };
        command
    })
}

#[test]
fn a_configuration_that_the_whole_system_runs_with() {
    let database = cluster().test_database("init").unwrap();
    cluster().primary().psql(&database, "CREATE MATERIALIZED VIEW totals AS SELECT 1 AS a").unwrap();
    let url = cluster().primary().url(&database);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config/pgprime.toml");
    let file = path.to_str().unwrap();
    let load =
        ["--rps", "1000", "--service-ms", "20", "--instances", "5", "--users", "2000", "--output", file];
    let init = |more: &[&str]| pgprime(&[&["init", "--database-url", &url], &load[..], more].concat());
    let said = stdout_of(&init(&[]));
    assert!(
        said.contains("Servers: 25 for 2000 users") && said.contains(&format!("pgprime run --config {file}")),
        "{said}"
    );

    let text = fs::read_to_string(&path).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 125), "{text}");
    assert!(text.contains("public.totals") && text.contains("pgprime views adopt"), "{text}");
    let read: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(read["database"]["url"].as_str(), Some(url.as_str()));
    assert_eq!(read["pooler"]["default_pool_size"].as_integer(), Some(25));
    assert_eq!(read["pooler"]["max_client_conn"].as_integer(), Some(2000));
    // What is a suggestion only is right as well.
    let all = text.lines().map(uncommented).collect::<Vec<_>>().join("\n");
    let all: toml::Table = toml::from_str(&all).unwrap_or_else(|error| panic!("{error}\n{all}"));
    assert_eq!(all["pooler"]["databases"][&database]["dbname"].as_str(), Some(database.as_str()));
    assert_eq!(all["alerts"]["channels"][0]["kind"].as_str(), Some("slack"));

    // Its own address is enough where no password is needed.
    let system = system_with(&path, None);
    run(async {
        let client = system.connect(&database).await;
        assert_eq!(client.value("SELECT a FROM totals").await.unwrap(), "1");
    });
    wait_until("statements were looked at", || {
        system.log().contains("is not recorded") || system.dir().join("state/history.sqlite").exists()
    });
    let log = system.log();
    assert!(!log.contains(" WARN ") && !log.contains(" ERROR "), "{log}");
    assert!(stdout_of(&pgprime(&["alerts", "rules", "--config", file])).contains("disk.free"));
    drop(system);

    refused(&init(&[]), 2, "there are already");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(
        stdout_of(&init(&["--force", "--pgbouncer-url", "postgres://stats@127.0.0.1:6432/pgbouncer"]))
            .contains("Written")
    );
    let read: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(read["pooler"]["enabled"].as_bool(), Some(false));
    assert_eq!(read["pgbouncer"]["url"].as_str(), Some("postgres://stats@127.0.0.1:6432/pgbouncer"));
}

/// A line as it is when the suggestion in it is taken.
fn uncommented(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("# ") else { return line };
    let is_setting = rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(name, _)| is_name(name));
    // A section that stands between others' settings would take these over.
    if is_setting { rest } else { line }
}

fn is_name(text: &str) -> bool {
    let letters = text.trim_matches('"');
    !letters.is_empty()
        && letters.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.".contains(letter))
}

#[test]
fn a_password_is_written_only_where_that_is_asked_for() {
    let options = ClusterOptions::default().with_hba(["host all all 127.0.0.1/32 scram-sha-256"]);
    let cluster = Cluster::start(&options).unwrap();
    let roles = "SET password_encryption = 'scram-sha-256'; CREATE ROLE app LOGIN PASSWORD 'top secret'";
    cluster.primary().psql("postgres", roles).unwrap();
    let url = format!("postgresql://app:top%20secret@127.0.0.1:{}/postgres", cluster.primary().port());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pgprime.toml");
    let init = |more: &[&str]| {
        let output = command(&["init", "--output", path.to_str().unwrap()])
            .args(more)
            .env("DATABASE_URL", &url)
            .output();
        let output = output.unwrap();
        let said = stdout_of(&output) + &stderr_of(&output);
        assert!(!said.contains("top%20secret") && !said.contains("top secret"), "{said}");
        said
    };
    assert!(init(&[]).contains("export DATABASE_URL"));
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("secret") && text.contains("set DATABASE_URL"), "{text}");
    let login = |system: &Pooler, password: &str| {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(system.port()).user("app").password(password).dbname("postgres");
        run(async move {
            let client = Client::connect_with(&config).await.map_err(|error| error.to_string())?;
            client.value("SELECT current_user").await.map_err(|error| error.to_string())
        })
    };
    let system = system_with(&path, Some(&url));
    assert_eq!(login(&system, "top secret").as_deref(), Ok("app"));
    drop(system);
    // Whoever forgets the variable lets nobody in.
    let system = system_with(&path, None);
    assert!(login(&system, "").is_err() && login(&system, "top secret").is_err());
    drop(system);

    assert!(!init(&["--with-password", "--force"]).contains("export"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let system = system_with(&path, None);
    assert_eq!(login(&system, "top secret").as_deref(), Ok("app"));
    assert!(login(&system, "other").is_err());
}

#[test]
fn what_cannot_be_written_or_read_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pgprime.toml");
    let file = path.to_str().unwrap();
    let with = |more: &[&str]| pgprime(&[&["init", "--output", file], more].concat());
    let away = format!("postgres://app:topsecret@127.0.0.1:{}/app", free_port());
    refused(&with(&["--database-url", &away]), 3, "cannot reach the database");
    assert!(!stderr_of(&with(&["--database-url", &away])).contains("topsecret"));
    refused(&with(&[]), 2, "--database-url or DATABASE_URL is needed");
    refused(&with(&["--database-url", "nonsense"]), 2, "not the address of a database");
    let url = cluster().primary().url("postgres");
    for (option, value, words) in [
        ("--rps", "-1", "--rps: -1"),
        ("--service-ms", "0", "--service-ms: 0"),
        ("--rps", "many", "invalid value 'many'"),
        ("--pgbouncer-url", "nonsense", "--pgbouncer-url is not the address of a console"),
    ] {
        refused(&with(&["--database-url", &url, &format!("{option}={value}")]), 2, words);
    }
    assert!(!path.exists());
    // More than the database can carry is a finding, and the file says it too.
    let output = with(&["--database-url", &url, "--rps", "100000", "--service-ms", "20"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Findings:"));
    let in_the_way = folder.path().join("pgprime.toml/below");
    let output = pgprime(&["init", "--database-url", &url, "--output", in_the_way.to_str().unwrap()]);
    refused(&output, 2, "cannot look at");
}
