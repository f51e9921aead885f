//! A service in this process on a port of its own, its database, and a user of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pgprime_client::DatabaseConfig;
use pgprime_cluster::{Cluster, ClusterOptions, SharedCluster};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::http::{Answer, Client};

/// For tests that stop no server.
pub(crate) static CLUSTER: SharedCluster = SharedCluster::new(|| ClusterOptions::default().with_replicas(1));

/// Nothing here takes this long, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Service {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

/// The configuration for a new database of the cluster, as the environment would give it.
pub(crate) fn config(cluster: &Cluster, variables: &[(&str, &str)]) -> (String, DatabaseConfig) {
    let name = cluster.test_database("service").expect("a database can be created");
    let url = cluster.primary().url(&name);
    let lookup = |asked: &str| {
        let given = variables.iter().find(|(known, _)| *known == asked).map(|(_, value)| (*value).to_owned());
        given.or_else(|| (asked == "DATABASE_URL").then(|| url.clone()))
    };
    let config = insurance_service::config::read(lookup).expect("is a whole configuration");
    (name, config)
}

impl Service {
    /// Creates the tables, waits until the replicas have them, and starts to serve.
    pub(crate) async fn start(cluster: &Cluster, config: DatabaseConfig) -> Self {
        insurance_service::migrate(&config).await.expect("the schema is accepted");
        cluster.wait_for_replay().expect("the replica follows");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("is bound");
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let task = tokio::spawn(insurance_service::serve(config, listener, stopped));
        Self { address, stop, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub(crate) fn user(&self, name: impl Into<String>) -> User {
        User { client: self.client(), name: name.into(), read_after: None, customer_id: 0, quotes: 0 }
    }

    /// The pool report, once it is as asked for.
    pub(crate) async fn pool_once(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let (mut client, deadline) = (self.client(), Instant::now() + PATIENCE);
        loop {
            let report = client.get("/pool").await.json(200);
            if is_so(&report) {
                return report;
            }
            assert!(Instant::now() < deadline, "{report:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it as SIGTERM does; nothing may be left of it in the database.
    pub(crate) async fn stop(self, cluster: &Cluster, database: &str) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("does not panic").expect("stops in order");
        let sessions = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        );
        let deadline = Instant::now() + PATIENCE;
        while cluster.primary().psql(database, &sessions).expect("the primary runs") != "0" {
            assert!(Instant::now() < deadline, "connections are left");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Somebody with a browser: remembers what it wrote last.
pub(crate) struct User {
    pub(crate) client: Client,
    name: String,
    read_after: Option<String>,
    customer_id: i64,
    quotes: u32,
}

impl User {
    /// Becomes a customer.
    pub(crate) async fn register(&mut self) {
        let customer = json!({
            "first_name": "Ada", "last_name": self.name, "email": format!("{}@example.com", self.name),
            "phone": "1", "street": "Main St 1", "city": "Bern", "postal_code": "3000", "born_on": "1990-02-28",
        });
        let answer = self.send("POST", "/customers", &[], Some(&customer)).await;
        self.customer_id = id(&answer.json(201));
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], None).await
    }

    /// The body of a quote.
    pub(crate) fn quote(&self) -> Value {
        json!({
            "customer_id": self.customer_id, "product": "car", "coverage_cents": 2_500_000, "deductible_cents": 50_000,
        })
    }

    /// A key for a new request.
    pub(crate) fn next_key(&mut self) -> String {
        self.quotes += 1;
        format!("{}-{}", self.name, self.quotes)
    }

    pub(crate) async fn ask_quote(&mut self, key: &str) -> Answer {
        let quote = self.quote();
        self.send("POST", "/quotes", &[("idempotency-key", key)], Some(&quote)).await
    }

    pub(crate) async fn bind(&mut self, quote_id: i64) -> Answer {
        self.send("POST", &format!("/quotes/{quote_id}/policy"), &[], None).await
    }

    pub(crate) fn customer_id(&self) -> i64 {
        self.customer_id
    }

    async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let read_after = self.read_after.clone();
        let own = read_after.as_deref().map(|position| ("x-read-after", position));
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain(own).collect();
        let answer = self.client.send(method, path, &headers, body).await;
        if let Some(position) = answer.header("x-read-after") {
            self.read_after = Some(position.to_owned());
        }
        answer
    }
}

pub(crate) fn id(body: &Value) -> i64 {
    body["id"].as_i64().unwrap_or_else(|| panic!("no id in {body}"))
}

/// Keeps everybody from a table until it is dropped.
pub(crate) struct TableLock {
    _client: Box<dyn Send>,
}

impl TableLock {
    pub(crate) async fn take(url: &str, table: &str) -> Self {
        let connected = pgprime_client::connect(url, PATIENCE).await.expect("the database runs");
        let sql = format!("BEGIN; LOCK TABLE {table}");
        connected.client.batch_execute(&sql).await.expect("nobody else has locked it");
        // Dropping the client closes its session, which ends the transaction.
        Self { _client: Box::new(connected.client) }
    }
}
