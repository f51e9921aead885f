//! Poolers under test, and their consoles.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread::JoinHandle;

use pgprime_cluster::{Cluster, ClusterOptions, SharedCluster};
use pgprime_pooler::core::MeasureSettings;
use pgprime_pooler::settings::Config;
use pgprime_pooler::{Handle, Pooler, PoolerError};
use tempfile::TempDir;

use super::raw::{Raw, Reply};
use super::tls::{Files, tls_socket};

/// Users of the cluster that log in without a password.
const USERS: [&str; 3] = ["app", "other", "third"];

static CLUSTER: SharedCluster =
    SharedCluster::new(|| ClusterOptions::default().with_setting("max_connections", "400"));
static READY: LazyLock<&'static Cluster> = LazyLock::new(|| {
    let cluster = CLUSTER.cluster();
    for user in USERS {
        let sql = format!("CREATE ROLE {user} LOGIN IN ROLE pg_read_all_stats, pg_signal_backend");
        cluster.primary().psql("postgres", &sql).expect("a role is made");
    }
    cluster
});

/// The cluster that all tests share.
pub(crate) fn cluster() -> &'static Cluster {
    &READY
}

/// What a pooler is to be. Without more it has one worker, transaction pooling, `auth_type=trust` and the database
/// `db` on the shared cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    settings: Vec<(String, String)>,
    databases: Vec<(String, String)>,
    users: Vec<(String, String)>,
    secrets: Vec<(String, String)>,
    workers: usize,
    measure: MeasureSettings,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self { workers: 1, ..Self::default() }
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// What is measured of statements.
    pub(crate) fn measure(mut self, measure: MeasureSettings) -> Self {
        self.measure = measure;
        self
    }

    /// A line of `[pgbouncer]`; the last one for a name holds.
    pub(crate) fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.into(), value.to_string()));
        self
    }

    /// A database that leads to `postgres` on the shared cluster.
    pub(crate) fn database(self, name: &str, more: &str) -> Self {
        let port = cluster().primary().port();
        self.database_at(name, &format!("host=127.0.0.1 port={port} dbname=postgres {more}"))
    }

    /// A line of `[databases]`; the last one for a name holds.
    pub(crate) fn database_at(mut self, name: &str, entry: &str) -> Self {
        self.databases.retain(|(known, _)| known != name);
        self.databases.push((name.into(), entry.into()));
        self
    }

    pub(crate) fn without_database(mut self, name: &str) -> Self {
        self.databases.retain(|(known, _)| known != name);
        self
    }

    /// A line of `[users]`.
    pub(crate) fn user(mut self, name: &str, entry: &str) -> Self {
        self.users.push((name.into(), entry.into()));
        self
    }

    /// A line of `auth_file`.
    pub(crate) fn secret(mut self, user: &str, secret: &str) -> Self {
        self.secrets.push((user.into(), secret.into()));
        self
    }

    pub(crate) fn replace_secret(&mut self, user: &str, secret: &str) {
        self.secrets.retain(|(known, _)| known != user);
        self.secrets.push((user.into(), secret.into()));
    }

    #[track_caller]
    pub(crate) fn start(self) -> TestPooler {
        let dir = TempDir::new().expect("a folder is made");
        // The one thing that may not change with the settings of the file is chosen by the system.
        let path = dir.path().join("pgbouncer.ini");
        self.write(dir.path());
        let config = Config::load(&path).expect("the test's own configuration is right");
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        let pooler =
            Pooler::bind_measuring(config, self.workers, self.measure).expect("loopback can be bound");
        let handle = pooler.handle();
        let thread = std::thread::spawn(move || pooler.run().expect("it runs"));
        TestPooler { setup: self, dir, path, handle, thread: Some(thread) }
    }

    /// Why it cannot be started.
    #[track_caller]
    pub(crate) fn refusal(self) -> PoolerError {
        let dir = TempDir::new().expect("a folder is made");
        self.write(dir.path());
        let config = Config::load(&dir.path().join("pgbouncer.ini")).expect("it can be read");
        Pooler::bind(config, 1).expect_err("it cannot be started")
    }

    fn write(&self, dir: &Path) {
        std::fs::write(dir.join("users.txt"), self.userlist()).unwrap();
        std::fs::write(dir.join("pgbouncer.ini"), self.text(dir)).unwrap();
    }

    fn userlist(&self) -> String {
        let mut list = String::new();
        for user in USERS.into_iter().chain(["admin", "stats"]) {
            if !self.secrets.iter().any(|(name, _)| name == user) {
                writeln!(list, "\"{user}\" \"\"").unwrap();
            }
        }
        for (user, secret) in &self.secrets {
            writeln!(list, "\"{}\" \"{}\"", user.replace('"', "\"\""), secret.replace('"', "\"\"")).unwrap();
        }
        list
    }

    fn text(&self, dir: &Path) -> String {
        let mut text = String::from("[databases]\n");
        if self.databases.is_empty() {
            let port = cluster().primary().port();
            writeln!(text, "db = host=127.0.0.1 port={port} dbname=postgres").unwrap();
        }
        for (name, entry) in &self.databases {
            writeln!(text, "{name} = {entry}").unwrap();
        }
        text.push_str("[users]\n");
        for (name, entry) in &self.users {
            writeln!(text, "{name} = {entry}").unwrap();
        }
        text.push_str("[pgbouncer]\n");
        for (name, value) in [
            ("listen_addr", "127.0.0.1"),
            ("listen_port", "0"),
            ("unix_socket_dir", &dir.display().to_string()),
            ("auth_type", "trust"),
            ("auth_file", &dir.join("users.txt").display().to_string()),
            ("admin_users", "admin"),
            ("stats_users", "stats"),
            ("pool_mode", "transaction"),
            ("server_tls_sslmode", "disable"),
        ] {
            writeln!(text, "{name} = {value}").unwrap();
        }
        for (name, value) in &self.settings {
            writeln!(text, "{name} = {value}").unwrap();
        }
        text
    }
}

/// A running pooler; it ends with this.
#[derive(Debug)]
pub(crate) struct TestPooler {
    setup: Setup,
    dir: TempDir,
    path: PathBuf,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl TestPooler {
    pub(crate) fn port(&self) -> u16 {
        self.handle.port()
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(crate) fn socket_path(&self) -> PathBuf {
        self.dir.path().join(format!(".s.PGSQL.{}", self.port()))
    }

    /// A connection that has said nothing yet.
    pub(crate) fn connect(&self) -> Raw {
        Raw::tcp(self.port())
    }

    /// A client of the database `db`, logged in as `app`.
    #[track_caller]
    pub(crate) fn client(&self) -> Raw {
        self.client_of("db", "app")
    }

    #[track_caller]
    pub(crate) fn client_of(&self, database: &str, user: &str) -> Raw {
        let mut client = self.connect();
        client.log_in(&[("user", user), ("database", database)]);
        client
    }

    /// The error with which a login is refused.
    #[track_caller]
    pub(crate) fn refusal(&self, parameters: &[(&str, &str)]) -> (String, String) {
        let mut client = self.connect();
        client.send(&super::start_packet(parameters));
        client.last_error().expect("an error before the end")
    }

    #[track_caller]
    pub(crate) fn console(&self) -> Console {
        self.console_as("admin")
    }

    #[track_caller]
    pub(crate) fn console_as(&self, user: &str) -> Console {
        Console { raw: self.client_of("pgbouncer", user) }
    }

    /// The console over TLS.
    #[track_caller]
    pub(crate) fn tls_console(&self, files: &Files) -> Console {
        let stream = tls_socket(self.port(), files.client(None)).expect("a handshake");
        let mut raw = Raw::tls(stream);
        raw.log_in(&[("user", "admin"), ("database", "pgbouncer")]);
        Console { raw }
    }

    /// Checks that clients which behave get right answers.
    #[track_caller]
    pub(crate) fn check_others(&self) {
        self.check_others_of("db");
    }

    #[track_caller]
    pub(crate) fn check_others_of(&self, database: &str) {
        let mut clients: Vec<Raw> = (0..2).map(|_| self.client_of(database, "app")).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            let reply = client.query(&format!("SELECT {number} AS n, 'x' || {number}"));
            let expected = vec![Some(number.to_string()), Some(format!("x{number}"))];
            assert_eq!((reply.rows, reply.tags.as_str(), reply.status), (vec![expected], "TDCZ", Some('I')));
        }
    }

    /// Writes another configuration, which RELOAD then finds.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(Setup) -> Setup) {
        self.setup = change(self.setup.clone());
        self.setup.write(self.dir.path());
    }

    pub(crate) fn config_path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TestPooler {
    fn drop(&mut self) {
        self.handle.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if let (Some(Err(_)), false) = (ended, std::thread::panicking()) {
            panic!("the pooler panicked");
        }
    }
}

/// A client of the console.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) raw: Raw,
}

impl Console {
    /// A command that succeeds.
    #[track_caller]
    pub(crate) fn run(&mut self, command: &str) -> Reply {
        let reply = self.raw.query(command);
        assert!(reply.errors.is_empty() && reply.status == Some('I'), "{command}: {reply:?}");
        reply
    }

    /// SQLSTATE and text of a command that fails and leaves the session open.
    #[track_caller]
    pub(crate) fn error(&mut self, command: &str) -> (String, String) {
        let reply = self.raw.query(command);
        assert_eq!((reply.errors.len(), reply.status), (1, Some('I')), "{command}: {reply:?}");
        reply.errors[0].clone()
    }

    /// A number in SHOW POOLS.
    #[track_caller]
    pub(crate) fn pool(&mut self, database: &str, user: &str, column: &str) -> u64 {
        let pools = self.run("SHOW POOLS");
        let (databases, users) = (pools.column("database"), pools.column("user"));
        let place = (0..databases.len()).find(|place| databases[*place] == database && users[*place] == user);
        place.map_or(0, |place| pools.column(column)[place].parse().expect("a number"))
    }
}
