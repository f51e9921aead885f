//! A pooler that is not in this process: a real PgBouncer, and pgprime's own, over their consoles.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgprime_api::{Api, ApiConfig, Services};
use pgprime_cluster::free_port;
use pgprime_monitor::pooler::PoolerKind;
use pgprime_monitor::watch::Console;
use pgprime_pooler::Pooler;
use pgprime_pooler::settings::Config;
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::support::{PATIENCE, Running, cluster, serve, services};

const PROGRAM: &str = "/usr/sbin/pgbouncer";
const EVENTS: &str = "/api/v1/monitoring/events";
/// An answer about a pooler that is away comes before this.
const AWAY_MAX: Duration = Duration::from_secs(8);

/// The settings that both understand: two servers for all.
fn ini(port: u16, folder: &Path) -> String {
    let node = cluster().primary();
    let url = node.url("postgres");
    let user = url.split("//").nth(1).and_then(|rest| rest.split('@').next()).unwrap();
    let server = node.port();
    let mut text =
        format!("[databases]\ndb = host=127.0.0.1 port={server} dbname=postgres user={user}\n[pgbouncer]\n");
    for (name, value) in [
        ("listen_addr", "127.0.0.1"),
        ("listen_port", &port.to_string()),
        ("unix_socket_dir", ""),
        ("auth_type", "trust"),
        ("auth_file", &folder.join("users").display().to_string()),
        ("stats_users", "stats"),
        ("pool_mode", "transaction"),
        ("default_pool_size", "2"),
        ("max_client_conn", "50"),
    ] {
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

/// A folder with the ini and its users.
fn written(port: u16) -> TempDir {
    let folder = tempfile::Builder::new().prefix("pgprime-watched-").tempdir().unwrap();
    std::fs::write(folder.path().join("users"), "\"app\" \"\"\n\"stats\" \"\"\n").unwrap();
    std::fs::write(folder.path().join("pgbouncer.ini"), ini(port, folder.path())).unwrap();
    // PgBouncer refuses to be root, and has to read its files as somebody else then.
    for path in [folder.path().to_owned(), folder.path().join("users"), folder.path().join("pgbouncer.ini")] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    }
    folder
}

struct Bouncer {
    port: u16,
    child: Child,
    _folder: TempDir,
}

impl Bouncer {
    async fn start() -> Option<Self> {
        Path::new(PROGRAM).exists().then_some(())?;
        let port = free_port();
        let folder = written(port);
        let mut command = Command::new(PROGRAM);
        command.arg("-q");
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "postgres"]);
        }
        let command =
            command.arg(folder.path().join("pgbouncer.ini")).stdout(Stdio::null()).stderr(Stdio::null());
        let bouncer = Self { port, child: command.spawn().unwrap(), _folder: folder };
        let began = Instant::now();
        while connect(port, "stats", "pgbouncer").await.is_err() {
            assert!(began.elapsed() < PATIENCE, "PgBouncer does not start");
            tokio::task::yield_now().await;
        }
        Some(bouncer)
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn connect(port: u16, user: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
    let url = format!("host=127.0.0.1 port={port} user={user} dbname={database}");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// An interface that watches the pooler at this port.
async fn watching(port: u16, expected: PoolerKind) -> Running {
    let console = Console::new("the pooler", format!("postgres://stats@127.0.0.1:{port}/pgbouncer"));
    let services = Services { console: Some(Arc::new(console)), console_of: expected, ..services().await };
    let config = ApiConfig::from_toml("listen = '127.0.0.1:0'\nrequests_per_minute = 1000000").unwrap();
    serve(Api::bind(config, services).await.unwrap())
}

async fn answered(api: &Running, path: &str) -> Value {
    let answer = api.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// Live figures of a time at which the client was at work.
async fn busy(api: &Running, client: &Client) -> Value {
    let mut stream = api.open(EVENTS, &[]).await;
    let work = async {
        loop {
            client.simple_query("SELECT 1").await.unwrap();
        }
    };
    tokio::select! {
        live = stream.event("live", |live| live["pooler"]["transactions_per_s"].as_f64() > Some(0.0)) => live,
        () = work => unreachable!("it works for ever"),
    }
}

/// What both poolers show of two clients, one of them in a transaction.
async fn shows_clients_and_figures(api: &Running, port: u16) -> (Value, Value) {
    let client = connect(port, "app", "db").await.unwrap();
    let live = busy(api, &client).await;
    let pooler = &live["pooler"];
    assert_eq!(
        (&pooler["is_built_in"], &pooler["address"]),
        (&false.into(), &format!("127.0.0.1:{port}").into())
    );
    for figure in ["queries_per_s", "query_ms_mean", "transaction_ms_mean", "wait_ms_mean", "seconds"] {
        assert!(pooler[figure].as_f64() >= Some(0.0), "{figure}: {live}");
    }
    assert_eq!(pooler["p95_ms"], Value::Null, "a console tells none: {live}");

    let other = connect(port, "app", "db").await.unwrap();
    other.batch_execute("SELECT 1").await.unwrap();
    client.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let seen = answered(api, "/api/v1/monitoring/connections").await;
    assert_eq!((&seen["clients_total"], seen["missing"].as_array().unwrap().len()), (&2.into(), 0), "{seen}");
    let clients = seen["clients"].as_array().unwrap();
    let busy = clients.iter().find(|client| client["link"].is_string()).unwrap_or_else(|| panic!("{seen}"));
    assert_eq!(
        (&busy["state"], &busy["user"], &busy["database"]),
        (&"active".into(), &"app".into(), &"db".into())
    );
    assert!(clients.iter().any(|client| client["state"] == "idle"), "{seen}");
    assert!(clients.iter().all(|client| client["connected_s"].as_f64() < Some(60.0)), "{seen}");
    let servers = seen["servers"].as_array().unwrap();
    let server =
        servers.iter().find(|server| server["id"] == busy["link"]).unwrap_or_else(|| panic!("{seen}"));
    assert_eq!((&server["link"], &server["state"]), (&busy["id"], &"active".into()), "{seen}");
    assert_eq!(server["address"], format!("127.0.0.1:{}", cluster().primary().port()));
    client.batch_execute("COMMIT").await.unwrap();
    let stats = answered(api, "/api/v1/monitoring/pool-stats").await;
    assert!(stats["rates"]["transactions_per_s"].is_f64(), "{stats}");
    assert_eq!(stats["rates_of"], seen["pooler"], "{stats}");
    (seen["pooler"].clone(), answered(api, "/api/v1/session").await["features"].clone())
}

#[tokio::test]
async fn a_pgbouncer_is_shown_as_if_it_were_built_in() {
    let Some(mut bouncer) = Bouncer::start().await else { return };
    let api = watching(bouncer.port, PoolerKind::Pgbouncer).await;
    let (pooler, features) = shows_clients_and_figures(&api, bouncer.port).await;
    assert!(
        pooler["kind"] == "pgbouncer" && pooler["name"].as_str().unwrap().starts_with("PgBouncer 1."),
        "{pooler}"
    );
    assert_eq!((&features["pooler"], &features["pgbouncer"]), (&false.into(), &true.into()));

    let mut stream = api.open(EVENTS, &[]).await;
    stream.event("live", |live| live["pooler"].is_object()).await;
    bouncer.end();
    let began = Instant::now();
    let seen = answered(&api, "/api/v1/monitoring/connections").await;
    assert!(began.elapsed() < AWAY_MAX, "{:?}", began.elapsed());
    assert_eq!(seen["missing"][0]["what"], "clients and servers of the pooler", "{seen}");
    assert!(
        !seen["sessions"].as_array().unwrap().is_empty() && seen["pooler"]["kind"] == "pgbouncer",
        "{seen}"
    );
    let mut later = api.open(EVENTS, &[]).await;
    later.event("live", |live| live["pooler"].is_null()).await;
    api.end().await;
}

#[tokio::test]
async fn a_pgprime_elsewhere_is_shown_as_if_it_were_built_in() {
    let port = free_port();
    let folder = written(port);
    let config = Config::parse(&ini(port, folder.path()), Path::new("test")).unwrap();
    let pooler = Pooler::bind(config, 2).unwrap();
    let handle = pooler.handle();
    let thread = std::thread::spawn(|| pooler.run().unwrap());
    // It says itself what it is.
    let api = watching(port, PoolerKind::Pgbouncer).await;
    let (pooler, features) = shows_clients_and_figures(&api, port).await;
    assert!(
        pooler["kind"] == "pgprime" && pooler["name"].as_str().unwrap().starts_with("pgprime "),
        "{pooler}"
    );
    assert_eq!((&features["pooler"], &features["pgbouncer"]), (&true.into(), &false.into()));
    api.end().await;
    handle.stop();
    thread.join().unwrap();
}

#[tokio::test]
async fn where_none_is_watched_none_is_named() {
    let api = crate::support::start().await;
    let seen = answered(&api, "/api/v1/monitoring/connections").await;
    assert_eq!((&seen["pooler"], &seen["clients_total"]), (&Value::Null, &0.into()), "{seen}");
    let stats = answered(&api, "/api/v1/monitoring/pool-stats").await;
    assert_eq!((&stats["rates"], &stats["rates_of"]), (&Value::Null, &Value::Null), "{stats}");
    let features = answered(&api, "/api/v1/session").await["features"].clone();
    assert_eq!((&features["pooler"], &features["pgbouncer"]), (&false.into(), &false.into()));
}
