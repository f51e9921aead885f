//! A real PgBouncer, and pgprime's own pooler, through their consoles: exhausted, paused, restarted.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pgprime_cluster::{Cluster, ClusterOptions, SharedCluster, free_port};
use pgprime_monitor::pooler::{
    PoolerKind, PoolerReport, diagnose, of_handle, rates, read_console, read_settings,
};
use pgprime_pooler::Pooler;
use pgprime_pooler::settings::Config;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// A pooler that has not started or told by then is broken.
const PATIENCE: Duration = Duration::from_secs(30);

static CLUSTER: SharedCluster = SharedCluster::new(ClusterOptions::default);

fn cluster() -> &'static Cluster {
    CLUSTER.cluster()
}

/// The settings that both understand: two servers for all.
fn ini(port: u16, folder: &Path) -> String {
    let server = cluster().primary().port();
    let user = cluster().primary().url("postgres");
    let user = user.split("//").nth(1).and_then(|rest| rest.split('@').next()).unwrap().to_owned();
    let mut text =
        format!("[databases]\ndb = host=127.0.0.1 port={server} dbname=postgres user={user}\n[pgbouncer]\n");
    for (name, value) in [
        ("listen_addr", "127.0.0.1"),
        ("listen_port", &port.to_string()),
        ("unix_socket_dir", ""),
        ("auth_type", "trust"),
        ("auth_file", &folder.join("users").display().to_string()),
        ("admin_users", "admin"),
        ("stats_users", "stats"),
        ("pool_mode", "transaction"),
        ("default_pool_size", "2"),
        ("max_client_conn", "50"),
        ("ignore_startup_parameters", "extra_float_digits"),
    ] {
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

struct Bouncer {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Bouncer {
    async fn start() -> Option<Self> {
        Path::new(PROGRAM).exists().then_some(())?;
        let folder = tempfile::Builder::new().prefix("pgprime-bouncer-").tempdir().unwrap();
        let port = free_port();
        std::fs::write(
            folder.path().join("users"),
            "\"app\" \"\"\n\"admin\" \"\"\n\"stats\" \"\"\n\"other\" \"\"\n",
        )
        .unwrap();
        std::fs::write(Self::ini(&folder), ini(port, folder.path())).unwrap();
        // It refuses to be root, and has to read its files as somebody else then.
        for path in [folder.path().to_owned(), folder.path().join("users"), Self::ini(&folder)] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(path, mode).unwrap();
        }
        let child = Self::spawn(&Self::ini(&folder));
        let bouncer = Self { folder, port, child };
        bouncer.ready().await;
        Some(bouncer)
    }

    fn ini(folder: &TempDir) -> PathBuf {
        folder.path().join("pgbouncer.ini")
    }

    fn spawn(ini: &Path) -> Child {
        let mut command = Command::new(PROGRAM);
        command.arg("-q");
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "postgres"]);
        }
        command.arg(ini).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    async fn ready(&self) {
        let began = Instant::now();
        while connect(self.port, "stats", "pgbouncer").await.is_err() {
            assert!(began.elapsed() < PATIENCE, "PgBouncer does not start");
            tokio::task::yield_now().await;
        }
    }

    /// Ends it and starts it anew, with the same settings.
    async fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(&Self::ini(&self.folder));
        self.ready().await;
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

/// Asks until the answer is as it is to be.
async fn eventually(console: &Client, what: &str, is_so: impl Fn(&PoolerReport) -> bool) -> PoolerReport {
    let began = Instant::now();
    loop {
        let report = read_console(console).await.unwrap();
        if is_so(&report) {
            return report;
        }
        assert!(began.elapsed() < PATIENCE, "never {what}: {report:?}");
        tokio::task::yield_now().await;
    }
}

fn waiting(report: &PoolerReport) -> u64 {
    report.pools.iter().map(|pool| pool.clients_waiting).sum()
}

fn codes(report: &PoolerReport) -> Vec<&'static str> {
    diagnose(report, None).iter().map(|finding| finding.code).collect()
}

/// Two clients hold the two servers in transactions, a third has to wait.
async fn exhaust(port: u16, console: &Client) {
    let clients = [connect(port, "app", "db").await.unwrap(), connect(port, "app", "db").await.unwrap()];
    for client in &clients {
        client.batch_execute("BEGIN; SELECT 1").await.unwrap();
    }
    let third = connect(port, "app", "db").await.unwrap();
    let (asked, _) = tokio::join!(third.batch_execute("SELECT 1"), async {
        let report = eventually(console, "a client waits", |report| waiting(report) == 1).await;
        assert_eq!(codes(&report), ["pool_exhausted"], "{report:?}");
        let pool = report.pools.iter().find(|pool| pool.database == "db").unwrap();
        assert_eq!((pool.servers_active, pool.size_max, pool.mode.as_str()), (2, Some(2), "transaction"));
        assert_eq!((report.clients_max, report.clients >= 3), (Some(50), true));
        clients[0].batch_execute("COMMIT").await.unwrap();
    });
    asked.unwrap();
    clients[1].batch_execute("COMMIT").await.unwrap();
    let calm = eventually(console, "nobody waits", |report| waiting(report) == 0).await;
    assert!(codes(&calm).is_empty(), "{:?}", codes(&calm));
}

#[tokio::test]
async fn pgbouncer_exhausted_paused_and_restarted() {
    let Some(mut bouncer) = Bouncer::start().await else { return };
    let console = connect(bouncer.port, "stats", "pgbouncer").await.unwrap();
    let first = read_console(&console).await.unwrap();
    assert_eq!(first.kind, PoolerKind::Pgbouncer);
    assert!(first.version.contains("PgBouncer"), "{}", first.version);
    exhaust(bouncer.port, &console).await;
    assert_eq!(read_settings(&console).await.unwrap()["default_pool_size"], "2");

    let admin = connect(bouncer.port, "admin", "pgbouncer").await.unwrap();
    admin.simple_query("PAUSE db").await.unwrap();
    let paused = read_console(&console).await.unwrap();
    assert_eq!(codes(&paused), ["paused"], "{paused:?}");
    admin.simple_query("RESUME \"db\";").await.unwrap();
    assert!(codes(&read_console(&console).await.unwrap()).is_empty());

    let before = read_console(&console).await.unwrap();
    assert!(before.totals.transactions > 0 || before.totals.queries > 0, "{before:?}");
    bouncer.restart().await;
    let lost = read_console(&console).await.unwrap_err();
    assert!(lost.is_connection_lost(), "{lost}");
    let again = connect(bouncer.port, "stats", "pgbouncer").await.unwrap();
    let after = read_console(&again).await.unwrap();
    assert_eq!(rates(&before, &after), None, "it counts from the beginning");
}

#[tokio::test]
async fn a_console_that_refuses_says_so() {
    let Some(bouncer) = Bouncer::start().await else { return };
    // Whoever is neither administrator nor in stats_users does not get in.
    assert!(connect(bouncer.port, "other", "pgbouncer").await.is_err());
    let database = connect(bouncer.port, "app", "db").await.unwrap();
    let refused = read_console(&database).await.unwrap_err();
    assert!(refused.to_string().contains("SHOW VERSION") && !refused.is_connection_lost(), "{refused}");
}

#[tokio::test]
async fn our_own_pooler_is_told_by_its_console_and_by_its_handle() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users"), "\"app\" \"\"\n\"admin\" \"\"\n\"stats\" \"\"\n").unwrap();
    let port = free_port();
    let config = Config::parse(&ini(port, folder.path()), Path::new("test")).unwrap();
    let pooler = Pooler::bind(config, 2).unwrap();
    let handle = pooler.handle();
    let thread = std::thread::spawn(|| pooler.run().unwrap());
    let console = connect(port, "stats", "pgbouncer").await.unwrap();
    exhaust(port, &console).await;
    let by_console = read_console(&console).await.unwrap();
    let by_handle = of_handle(&handle).await;
    assert_eq!((by_console.kind, by_handle.kind), (PoolerKind::Pgprime, PoolerKind::Pgprime));
    assert_eq!(by_console.pools, by_handle.pools);
    assert_eq!(by_handle.clients_max, Some(50));
    assert!(rates(&by_console, &by_handle).is_some_and(|rates| rates.transactions_per_s >= 0.0));
    handle.stop();
    thread.join().unwrap();
}
