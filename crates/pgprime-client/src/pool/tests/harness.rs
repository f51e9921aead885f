//! A connector without a database, which does as it is told and keeps count.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pgprime_pool::Limit;

use crate::error::ConnectError;
use crate::pool::{Connector, Lease, Pool, PoolOptions};

/// What attempts to connect come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Up,
    Unreachable,
    Rejecting,
    /// It closes connections at once.
    HangingUp,
    Silent,
    Panicking,
}

/// The fake database, as seen by a test.
pub(super) struct Server {
    mode: Mutex<Mode>,
    connect_takes: Mutex<Duration>,
    check_takes: Mutex<Duration>,
    pub(super) attempts: AtomicUsize,
    pub(super) open: AtomicUsize,
    pub(super) open_max: AtomicUsize,
    pub(super) checks: AtomicUsize,
    pub(super) cleanings: AtomicUsize,
    pub(super) can_clean: AtomicBool,
    numbers: AtomicU64,
    connections: Mutex<Vec<Arc<Line>>>,
    database: OnceLock<Arc<Limit>>,
}

/// The state of one connection.
#[derive(Default)]
pub(super) struct Line {
    /// The client knows that it is closed.
    pub(super) is_closed: AtomicBool,
    /// It does not answer, and nobody knows yet.
    pub(super) is_mute: AtomicBool,
    pub(super) is_used_by: AtomicBool,
}

pub(super) struct Fake(pub(super) Arc<Server>);

pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) is_dirty: bool,
    line: Arc<Line>,
    server: Arc<Server>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let used = self.server.database.get().map_or(1, |database| database.used());
        self.server.open.fetch_sub(1, SeqCst);
        assert!(used > 0, "a permit is not given back before its connection is closed");
    }
}

impl Connection {
    /// Fails when somebody else uses the connection at the same time.
    pub(super) fn begin_use(&self) {
        assert!(!self.line.is_used_by.swap(true, SeqCst), "one holder at a time");
    }

    pub(super) fn end_use(&self) {
        self.line.is_used_by.store(false, SeqCst);
    }
}

impl Server {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            mode: Mutex::new(Mode::Up),
            connect_takes: Mutex::default(),
            check_takes: Mutex::default(),
            attempts: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            open_max: AtomicUsize::new(0),
            checks: AtomicUsize::new(0),
            cleanings: AtomicUsize::new(0),
            can_clean: AtomicBool::new(true),
            numbers: AtomicU64::new(0),
            connections: Mutex::default(),
            database: OnceLock::new(),
        })
    }

    pub(super) fn be(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub(super) fn connect_takes(&self, time: Duration) {
        *self.connect_takes.lock().unwrap() = time;
    }

    pub(super) fn check_takes(&self, time: Duration) {
        *self.check_takes.lock().unwrap() = time;
    }

    pub(super) fn line(&self, number: u64) -> Arc<Line> {
        Arc::clone(&self.connections.lock().unwrap()[usize::try_from(number).unwrap()])
    }

    fn open_one(self: &Arc<Self>) -> Connection {
        let line = Arc::new(Line::default());
        let mut connections = self.connections.lock().unwrap();
        connections.push(Arc::clone(&line));
        let open = self.open.fetch_add(1, SeqCst) + 1;
        self.open_max.fetch_max(open, SeqCst);
        Connection {
            number: self.numbers.fetch_add(1, SeqCst),
            is_dirty: false,
            line,
            server: Arc::clone(self),
        }
    }
}

impl Connector for Fake {
    type Connection = Connection;

    fn target(&self) -> String {
        "fake:5432/app as app".to_string()
    }

    async fn connect(&self) -> Result<Connection, ConnectError> {
        self.0.attempts.fetch_add(1, SeqCst);
        let takes = *self.0.connect_takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let mode = *self.0.mode.lock().unwrap();
        match mode {
            Mode::Up => Ok(self.0.open_one()),
            Mode::HangingUp => {
                let connection = self.0.open_one();
                connection.line.is_closed.store(true, SeqCst);
                Ok(connection)
            }
            Mode::Unreachable => {
                Err(ConnectError::Unreachable { target: self.target(), reason: "refused".to_string() })
            }
            Mode::Rejecting => Err(ConnectError::Rejected {
                target: self.target(),
                reason: "password authentication failed".to_string(),
                sqlstate: "28P01".to_string(),
            }),
            Mode::Silent => std::future::pending().await,
            Mode::Panicking => panic!("the connector has a bug"),
        }
    }

    fn is_closed(&self, connection: &Connection) -> bool {
        connection.line.is_closed.load(SeqCst)
    }

    fn is_clean(&self, connection: &Connection) -> bool {
        !connection.is_dirty
    }

    async fn check(&self, connection: &mut Connection) -> bool {
        self.0.checks.fetch_add(1, SeqCst);
        let takes = *self.0.check_takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        if connection.line.is_mute.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        !connection.line.is_closed.load(SeqCst)
    }

    async fn clean(&self, connection: &mut Connection) -> bool {
        self.0.cleanings.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        connection.is_dirty = false;
        self.0.can_clean.load(SeqCst)
    }
}

/// A pool on a fake database.
pub(super) struct Bench {
    pub(super) pool: Pool<Fake>,
    pub(super) server: Arc<Server>,
    pub(super) database: Arc<Limit>,
}

impl Bench {
    pub(super) fn new(options: PoolOptions) -> Self {
        Self::within(options, Limit::new(0))
    }

    pub(super) fn within(options: PoolOptions, database: Arc<Limit>) -> Self {
        let server = Server::new();
        assert!(server.database.set(Arc::clone(&database)).is_ok());
        let pool = Pool::start("main", Fake(Arc::clone(&server)), options, Arc::clone(&database));
        Self { pool, server, database }
    }

    pub(super) fn attempts(&self) -> usize {
        self.server.attempts.load(SeqCst)
    }

    /// Takes `count` connections, opening them where needed.
    pub(super) async fn take(&self, count: usize) -> Vec<Lease<Fake>> {
        let mut leases = Vec::new();
        for _ in 0..count {
            leases.push(self.pool.acquire().await.unwrap());
        }
        leases
    }

    /// Fails unless every connection idles and has its permit.
    pub(super) fn assert_all_at_rest(&self) {
        let report = self.pool.report();
        assert_eq!(report.size, report.idle, "{report:?}");
        assert_eq!((report.busy, report.waiting, report.connecting), (0, 0, 0), "{report:?}");
        assert_eq!(self.server.open.load(SeqCst), report.size as usize, "{report:?}");
        assert_eq!(self.database.used(), report.size, "{report:?}");
    }
}

/// Sizes, and no upkeep but what the test asks for.
pub(super) fn options(size_min: u32, size_max: u32) -> PoolOptions {
    PoolOptions {
        idle_timeout: Duration::ZERO,
        lifetime: Duration::ZERO,
        check_after_idle: Duration::ZERO,
        leak_after: Duration::ZERO,
        ..PoolOptions::sized(size_min, size_max)
    }
}

/// Lets every task that can run do so.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
