//! PostgreSQL restarts while many clients work: every answer is right, no acknowledged commit is lost, and none is
//! there twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pgprime_cluster::{Cluster, ClusterOptions, StopMode};
use tokio_postgres::{Error, Statement};

use crate::harness::{Client, Pooler, Setup, eventually, run};

const CLIENTS: i32 = 40;

/// What the clients of a load share.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    acknowledged: AtomicUsize,
}

/// What one client knows of its insertions: whether each was acknowledged.
type Outcomes = BTreeMap<i32, bool>;

#[test]
fn fast_restarts_under_load() {
    restarts_under_load(StopMode::Fast);
}

#[test]
fn immediate_restarts_under_load() {
    restarts_under_load(StopMode::Immediate);
}

fn restarts_under_load(mode: StopMode) {
    // Otherwise PostgreSQL itself forgets commits that it has acknowledged.
    let cluster =
        Cluster::start(&ClusterOptions::default().with_setting("synchronous_commit", "on")).unwrap();
    cluster.primary().psql("postgres", "CREATE TABLE entries (client int, number int)").unwrap();
    let setup = Setup::new().database(cluster.primary(), "postgres", "pool_size=5").workers(2);
    let pooler = Pooler::start(setup.set("server_login_retry", "15"));
    let outcomes = run(async {
        let load = Arc::new(Load::default());
        let clients = (0..CLIENTS)
            .map(|client| tokio::spawn(work(client, pooler.conninfo("postgres"), Arc::clone(&load))));
        let clients: Vec<_> = clients.collect();
        for _ in 0..3 {
            progress(&load).await;
            cluster.primary().restart(mode).unwrap();
        }
        progress(&load).await;
        load.is_over.store(true, Ordering::Release);
        let mut outcomes = BTreeMap::new();
        for (client, task) in (0..CLIENTS).zip(clients) {
            outcomes.insert(client, task.await.unwrap());
        }
        outcomes
    });
    let rows = cluster.primary().psql("postgres", "SELECT client, number FROM entries").unwrap();
    check(&outcomes, &rows);
}

/// Waits until the clients have got some more done.
async fn progress(load: &Load) {
    let before = load.acknowledged.load(Ordering::Acquire);
    eventually("the clients get on", async || load.acknowledged.load(Ordering::Acquire) > before + 400).await;
}

async fn work(client: i32, conninfo: String, load: Arc<Load>) -> Outcomes {
    let mut outcomes = Outcomes::new();
    let mut numbers = 0..;
    while !load.is_over.load(Ordering::Acquire) {
        let Ok(connection) = Client::connect(&conninfo).await else { continue };
        let Ok(statements) = Statements::prepare(&connection).await else { continue };
        while !load.is_over.load(Ordering::Acquire)
            && let Some(number) = numbers.next()
        {
            outcomes.insert(number, false);
            if statements.insert(&connection, client, number).await.is_err() {
                break;
            }
            outcomes.insert(number, true);
            load.acknowledged.fetch_add(1, Ordering::AcqRel);
        }
    }
    outcomes
}

struct Statements {
    insert: Statement,
    echo: Statement,
}

impl Statements {
    async fn prepare(connection: &Client) -> Result<Self, Error> {
        Ok(Self {
            insert: connection
                .prepare("INSERT INTO entries VALUES ($1, $2) RETURNING client, number")
                .await?,
            echo: connection.prepare("SELECT $1::int * 100000 + $2::int").await?,
        })
    }

    /// Inserts one entry, alone or in a transaction, by turns. Whatever answer there is must be the right one.
    async fn insert(&self, connection: &Client, client: i32, number: i32) -> Result<(), Error> {
        let in_transaction = number % 2 == 0;
        if in_transaction {
            connection.batch_execute("BEGIN").await?;
        }
        let row = connection.query_one(&self.insert, &[&client, &number]).await?;
        assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (client, number), "another's answer");
        if in_transaction {
            let row = connection.query_one(&self.echo, &[&client, &number]).await?;
            assert_eq!(row.get::<_, i32>(0), client * 100_000 + number, "another's answer");
            connection.batch_execute("COMMIT").await?;
        }
        Ok(())
    }
}

/// Acknowledged entries are there once; of the others each may be there once.
fn check(outcomes: &BTreeMap<i32, Outcomes>, rows: &str) {
    let mut found: BTreeMap<(i32, i32), u32> = BTreeMap::new();
    for row in rows.lines() {
        let (client, number) = row.split_once('|').unwrap();
        *found.entry((client.parse().unwrap(), number.parse().unwrap())).or_default() += 1;
    }
    for (client, numbers) in outcomes {
        for (number, is_acknowledged) in numbers {
            let times = found.remove(&(*client, *number)).unwrap_or(0);
            let expected = if *is_acknowledged { 1..=1 } else { 0..=1 };
            assert!(
                expected.contains(&times),
                "client {client}, {number}: {times} times, acknowledged: {is_acknowledged}"
            );
        }
    }
    assert!(found.is_empty(), "nobody has sent {found:?}");
}
