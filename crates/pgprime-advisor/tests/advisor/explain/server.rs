//! Databases of the tests, on every version of PostgreSQL that is installed, or on one.

use std::sync::OnceLock;

use pgprime_cluster::{Cluster, ClusterOptions, Installation, SharedCluster};
use tokio_postgres::{Client, NoTls};

static CLUSTER: SharedCluster = SharedCluster::new(options);
static OTHERS: OnceLock<Vec<Cluster>> = OnceLock::new();

fn options() -> ClusterOptions {
    ClusterOptions::default()
        .with_setting("shared_preload_libraries", "pg_stat_statements")
        .with_setting("max_prepared_transactions", "0")
}

/// A database and a role of its own that is not a superuser.
pub(super) struct Database {
    cluster: &'static Cluster,
    name: String,
    pub(super) role: String,
}

/// A database on the newest server.
pub(super) fn database(setup: &str) -> Database {
    on(CLUSTER.cluster(), setup)
}

/// A database on each version that is installed.
pub(super) fn databases(setup: &str) -> Vec<Database> {
    let others = OTHERS.get_or_init(|| {
        let newest = Installation::find().unwrap().version_major();
        let others = Installation::all().into_iter().filter(|other| other.version_major() != newest);
        others.map(|other| Cluster::start(&options().with_installation(other)).unwrap()).collect()
    });
    std::iter::once(CLUSTER.cluster()).chain(others).map(|cluster| on(cluster, setup)).collect()
}

fn on(cluster: &'static Cluster, setup: &str) -> Database {
    let name = cluster.test_database("explain").unwrap();
    let role = format!("role_{name}");
    let database = Database { cluster, name, role };
    database.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}",
        role = database.role
    ));
    database.sql(setup);
    let role = &database.role;
    database.sql(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; ANALYZE"));
    database
}

impl Database {
    /// As a superuser.
    pub(super) fn sql(&self, sql: &str) -> String {
        self.cluster.primary().psql(&self.name, sql).unwrap()
    }

    /// As the role.
    pub(super) async fn client(&self) -> Client {
        self.client_as(&self.role).await
    }

    pub(super) async fn client_as(&self, role: &str) -> Client {
        let url = self.cluster.primary().socket_url(&self.name);
        let mut config: tokio_postgres::Config = url.parse().unwrap();
        config.user(role);
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(super) async fn superuser(&self) -> Client {
        let url = self.cluster.primary().socket_url(&self.name);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(super) fn version(&self) -> u32 {
        self.sql("SHOW server_version_num").parse::<u32>().unwrap() / 10_000
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let node = self.cluster.primary();
        let _ = node
            .psql("postgres", &drop)
            .and_then(|_| node.psql("postgres", &format!("DROP ROLE {}", self.role)));
    }
}
