//! Connections to a real PostgreSQL, directly and through a real PgBouncer.

mod direct;
mod pgbouncer;
mod through_pooler;

use std::time::Duration;

use pgprime_cluster::{ClusterOptions, Node, SharedCluster};

use super::Connector;
use crate::config::DatabaseConfig;
use crate::connection::{Common, Connection};
use crate::error::ConnectError;
use crate::pool::Connector as _;
use crate::session::Role;

static CLUSTER: SharedCluster = SharedCluster::new(ClusterOptions::default);

const LIMIT: Duration = Duration::from_secs(20);

/// A database of its own, with the table `items` of ten rows.
fn database() -> (&'static Node, String) {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database("client").unwrap();
    let node = cluster.primary();
    let sql = "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE TYPE size AS ENUM ('big', 'small'); \
               CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, mood mood NOT NULL DEFAULT 'glad'); \
               INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 10) i";
    node.psql(&database, sql).unwrap();
    (node, database)
}

fn config(url: String, statements: &[(&str, &str)]) -> DatabaseConfig {
    let mut config = DatabaseConfig::new(url);
    config.statements = statements.iter().map(|(name, sql)| ((*name).into(), (*sql).into())).collect();
    config
}

fn connector(config: &DatabaseConfig, role: Role) -> Connector {
    let (endpoint, tls) = config.endpoint().unwrap();
    let settings = config.session_settings(role);
    Connector::new(
        Common::new(endpoint, tls, role, settings, config.statements.clone()),
        config.pooling,
        LIMIT,
    )
}

async fn connect(config: &DatabaseConfig, role: Role) -> Result<Connection, ConnectError> {
    connector(config, role).connect().await
}

/// The first column of the first row, as text.
async fn text(connection: &Connection, sql: &str) -> String {
    connection.query_one(sql, &[]).await.unwrap().get(0)
}

async fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_one(sql, &[]).await.unwrap().get(0)
}
