//! What the tests have in common: databases of their own on shared clusters, and waiting for what must become true.

mod logs;
mod proxy;
mod redis;

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pgprime_client::{Access, Database, DatabaseConfig, Error, PoolReport};
use pgprime_cluster::{Cluster, ClusterOptions, Node, SharedCluster};

pub(crate) use logs::{SECRET, lines_with};
pub(crate) use proxy::{Cut, Proxy, Trigger};
pub(crate) use redis::{Redis, is_up};

/// A hang is a failure, and no test takes nearly so long, even on a busy machine.
const TEST_TIME_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(5);

/// A primary and a replica that nobody disturbs. Deadlocks are found soon.
static CLUSTER: SharedCluster = SharedCluster::new(|| {
    ClusterOptions::default().with_replicas(1).with_setting("deadlock_timeout", "50ms")
});

/// A primary and a replica that one test after another disturbs.
static DISTURBED: SharedCluster = SharedCluster::new(|| ClusterOptions::default().with_replicas(1));

/// A database of its own.
pub(crate) struct Place {
    pub(crate) cluster: &'static Cluster,
    pub(crate) name: String,
}

/// A database with the tables of the tests, on the cluster that all share.
pub(crate) fn place() -> Place {
    Place::on(CLUSTER.cluster())
}

/// A database on a cluster that only the holder uses meanwhile; its replica runs and follows.
pub(crate) fn disturbed_place() -> (Place, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = DISTURBED.cluster();
    let replica = &cluster.replicas()[0];
    // A test that failed may have left it down or paused.
    replica.start().unwrap();
    replica.resume().unwrap();
    replica.psql("postgres", "SELECT pg_wal_replay_resume()").unwrap();
    (Place::on(cluster), turn)
}

impl Place {
    pub(crate) fn on(cluster: &'static Cluster) -> Self {
        logs::listen();
        let name = cluster.test_database("client").unwrap();
        let place = Self { cluster, name };
        place.psql(
            "CREATE TABLE items (id bigint PRIMARY KEY, text text NOT NULL DEFAULT '', n int NOT NULL DEFAULT 0); \
             CREATE TABLE marks (key text NOT NULL); CREATE SEQUENCE numbers;",
        );
        place
    }

    pub(crate) fn primary(&self) -> &'static Node {
        self.cluster.primary()
    }

    pub(crate) fn replica(&self) -> &'static Node {
        &self.cluster.replicas()[0]
    }

    /// What psql answers, on the primary.
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.primary().psql(&self.name, sql).unwrap()
    }

    /// The URL with a password that nobody asks for.
    pub(crate) fn url(&self, port: u16) -> String {
        format!("postgres://postgres:password-{SECRET}@127.0.0.1:{port}/{}?sslmode=disable", self.name)
    }

    /// Small pools on the primary alone.
    pub(crate) fn config(&self) -> DatabaseConfig {
        self.config_at(self.primary().port())
    }

    /// Small pools on what listens on this port.
    pub(crate) fn config_at(&self, port: u16) -> DatabaseConfig {
        let mut config = DatabaseConfig::new(self.url(port));
        config.pool_min = Some(1);
        config.pool_max = Some(4);
        config.admin.size = Some(2);
        config
    }

    /// With the replica, which has replayed all there is.
    pub(crate) fn config_with_replica(&self) -> DatabaseConfig {
        self.cluster.wait_for_replay().unwrap();
        let mut config = self.config();
        config.read_url = Some(self.url(self.replica().port()));
        config
    }

    pub(crate) async fn connect(&self) -> Database {
        connect(self.config()).await
    }

    /// Sessions of this database that are in this state, among `active`, `idle` and so on.
    pub(crate) fn sessions(&self, condition: &str) -> u32 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND backend_type = 'client backend' \
             AND {condition}",
            self.name
        );
        self.primary().psql("postgres", &sql).unwrap().parse().unwrap()
    }
}

pub(crate) async fn connect(config: DatabaseConfig) -> Database {
    Database::connect(config).await.unwrap()
}

/// A text as parameters have it.
pub(crate) fn secret(number: u32) -> String {
    format!("value-{SECRET}-{number}")
}

/// Runs a test's asynchronous part. Calls that block are fine in it: connections are driven by other threads.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let outcome = tokio::time::timeout(TEST_TIME_MAX, test).await;
        outcome.unwrap_or_else(|_| panic!("hung for {TEST_TIME_MAX:?}"))
    })
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// The main pool.
pub(crate) fn main_pool(database: &Database) -> PoolReport {
    database.report().main.pool.unwrap()
}

/// Waits until nobody has a connection of the main pool and none is being opened or cleaned.
pub(crate) async fn at_rest(database: &Database) -> PoolReport {
    until("the pool is at rest", || {
        let pool = main_pool(database);
        pool.busy == 0 && pool.waiting == 0 && pool.connecting == 0 && pool.size == pool.idle
    })
    .await;
    main_pool(database)
}

/// The first column of the only row.
pub(crate) async fn value<T>(access: &Access, sql: &str) -> T
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    access.query_one(sql, &[]).await.unwrap().get(0)
}

/// The SQLSTATE of a failure.
pub(crate) fn sqlstate<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.sqlstate().to_owned(),
    }
}
