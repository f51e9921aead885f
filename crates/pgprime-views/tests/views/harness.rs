//! A database for a test, and sessions on it.

use pgprime_cluster::{ClusterOptions, Node, SharedCluster};
use pgprime_views::{Applied, ApplyOptions, Declarations, ViewName, apply};
use tokio_postgres::types::FromSqlOwned;
use tokio_postgres::{Client, Config, NoTls};

static CLUSTER: SharedCluster =
    SharedCluster::new(|| ClusterOptions::default().with_setting("autovacuum", "off"));

pub(crate) struct Database<'a> {
    pub(crate) node: &'a Node,
    pub(crate) name: String,
    /// A session of its own, for the code under test.
    pub(crate) client: Client,
}

impl Database<'static> {
    /// With a table `orders` of 1,000 rows over ten days.
    pub(crate) async fn new(prefix: &str) -> Self {
        let cluster = CLUSTER.cluster();
        Self::on(cluster.primary(), cluster.test_database(prefix).unwrap()).await
    }
}

impl<'a> Database<'a> {
    /// The same on a node of one's own.
    pub(crate) async fn on(node: &'a Node, name: String) -> Self {
        let client = connect(node, &name, "postgres").await;
        let database = Self { node, name, client };
        database
            .psql(
                "CREATE TABLE orders (id int PRIMARY KEY, day date NOT NULL, amount numeric NOT NULL);
                 INSERT INTO orders SELECT i, date '2025-01-01' + i % 10, i FROM generate_series(1, 1000) i",
            )
            .await;
        database
    }

    pub(crate) async fn session(&self) -> Client {
        connect(self.node, &self.name, "postgres").await
    }

    pub(crate) async fn session_as(&self, role: &str) -> Client {
        connect(self.node, &self.name, role).await
    }

    /// Runs SQL and has its counts known to the server before it returns.
    pub(crate) async fn psql(&self, sql: &str) {
        let session = self.session().await;
        session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let pid: i32 = session.query_one_scalar("SELECT pg_backend_pid()", &[]).await.unwrap();
        drop(session);
        self.wait(&format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})")).await;
        self.node.wait_for_statistics(&self.name).unwrap();
    }

    /// Waits until a condition holds, by asking the server.
    pub(crate) async fn wait(&self, condition: &str) {
        let session = self.session().await;
        for _ in 0..100_000 {
            if session.query_one_scalar(condition, &[]).await.unwrap() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("never came true: {condition}");
    }

    pub(crate) async fn ask<T: FromSqlOwned>(&self, sql: &str) -> T {
        self.client.query_one_scalar(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    pub(crate) async fn apply(&self, toml: &str) -> Vec<Applied> {
        apply(&self.client, &declared(toml), &ApplyOptions::default()).await.unwrap()
    }

    /// Applies what has to work.
    pub(crate) async fn made(&self, toml: &str) -> Declarations {
        for applied in self.apply(toml).await {
            assert_eq!(applied.error, None, "{applied:?}");
        }
        declared(toml)
    }
}

pub(crate) async fn connect(node: &Node, database: &str, role: &str) -> Client {
    let mut config: Config = node.url(database).parse().unwrap();
    let (client, connection) = config.user(role).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn declared(toml: &str) -> Declarations {
    Declarations::from_toml(toml).unwrap()
}

pub(crate) fn name(text: &str) -> ViewName {
    ViewName::parse(text).unwrap()
}

/// A view of sums by day that can be refreshed beside its readers.
pub(crate) const DAILY: &str = "
[[views]]
name = 'daily'
sql = 'SELECT day, sum(amount) AS amount FROM orders GROUP BY day'
unique_key = ['day']
schedule = '15m'
";

/// As if this much time had passed since everything.
pub(crate) async fn age(database: &Database<'_>, interval: &str) {
    database
        .psql(&format!(
            "UPDATE pgprime.view_states SET refreshed_at = refreshed_at - interval '{interval}',
             unchanged_at = unchanged_at - interval '{interval}', failed_at = failed_at - interval '{interval}'"
        ))
        .await;
}
