//! Reads with a replica that lags, dies, hangs, or is not there yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pgprime_client::{Database, DatabaseConfig};

use crate::support::{Place, connect, disturbed_place, run, sqlstate, until, value};

fn config(place: &Place) -> DatabaseConfig {
    let mut config = place.config_with_replica();
    config.replica_lag_max = Duration::from_millis(300);
    config
}

fn is_used(database: &Database) -> bool {
    database.report().replica.unwrap().is_used
}

async fn is_on_replica(database: &Database) -> bool {
    value(&database.read(), "SELECT pg_is_in_recovery()").await
}

#[test]
fn reads_leave_a_replica_that_lags_and_come_back() {
    let (place, _turn) = disturbed_place();
    run(async {
        let database = connect(config(&place)).await;
        assert!(is_on_replica(&database).await);
        place.replica().psql("postgres", "SELECT pg_wal_replay_pause()").unwrap();
        database.main().execute("INSERT INTO items VALUES (1)", &[]).await.unwrap();
        // Within the limit the replica's own history is read.
        assert_eq!(value::<i64>(&database.read(), "SELECT count(*) FROM items").await, 0);
        until("the lag is seen", || !is_used(&database)).await;
        assert!(!is_on_replica(&database).await);
        assert_eq!(value::<i64>(&database.read(), "SELECT count(*) FROM items").await, 1);
        assert_eq!(sqlstate(database.read().execute("INSERT INTO items VALUES (2)", &[]).await), "25006");
        let report = database.report().replica.unwrap();
        assert!(report.lag_ms.unwrap() > 300 && report.lag_ms_max == 300, "{report:?}");
        assert!(report.reason.unwrap().contains("behind, more than 300 ms"));

        place.replica().psql("postgres", "SELECT pg_wal_replay_resume()").unwrap();
        until("the replica has caught up", || is_used(&database)).await;
        assert!(is_on_replica(&database).await);
        assert_eq!(database.report().replica.unwrap().lag_ms, Some(0));
        assert_eq!(database.report().read.queries.errors_total, 1);
    });
}

/// The last commit that the replica has replayed grows old while nobody writes; the replica does not.
#[test]
fn a_primary_at_rest_is_no_lag() {
    let (place, _turn) = disturbed_place();
    place.psql("INSERT INTO items VALUES (1)");
    run(async {
        let database = connect(config(&place)).await;
        let age = "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) > 2.5";
        until("the last commit is old", || {
            assert!(is_used(&database), "{:?}", database.report().replica);
            place.replica().psql("postgres", age).unwrap() == "t"
        })
        .await;
        assert!(is_on_replica(&database).await);
        assert_eq!(database.report().replica.unwrap().lag_ms, Some(0));
    });
}

/// What is not committed is nobody's data yet, and a replica that has not got it is not old.
#[test]
fn an_open_transaction_on_the_primary_is_no_lag() {
    let (place, _turn) = disturbed_place();
    run(async {
        // The pages are in the WAL already and a segment begins: what follows is one small record, which is flushed whole.
        place.psql("INSERT INTO items VALUES (0)");
        place.psql("SELECT pg_switch_wal()");
        let database = connect(config(&place)).await;
        let (inner, place) = (&database, &place);
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            transaction.execute("INSERT INTO items VALUES (1)", &[]).await?;
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(1_800) {
                assert!(is_used(inner), "{:?}", inner.report().replica);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok::<(), pgprime_client::Error>(())
        });
        outcome.await.unwrap();
        assert_eq!(place.psql("SELECT count(*) FROM items"), "2");
    });
}

/// Reads one after another on several tasks; the slowest of them, and how many there were.
struct Readers {
    is_over: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Duration>>,
}

impl Readers {
    fn start(database: &Database) -> Self {
        let (is_over, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = |_| {
            let (read, is_over, reads) = (database.read(), Arc::clone(&is_over), Arc::clone(&reads));
            tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                while !is_over.load(Ordering::SeqCst) {
                    let began = Instant::now();
                    assert_eq!(value::<i64>(&read, "SELECT count(*) FROM items").await, 1);
                    slowest = slowest.max(began.elapsed());
                    reads.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                slowest
            })
        };
        let tasks = (0..8).map(task).collect();
        Self { is_over, reads, tasks }
    }

    /// Lets them read some more.
    async fn go_on(&self) {
        let more = self.reads.load(Ordering::SeqCst) + 100;
        until("there are more reads", || self.reads.load(Ordering::SeqCst) > more).await;
    }

    async fn stop(self) -> Duration {
        self.is_over.store(true, Ordering::SeqCst);
        let mut slowest = Duration::ZERO;
        for task in self.tasks {
            slowest = slowest.max(task.await.unwrap());
        }
        slowest
    }
}

#[test]
fn a_killed_replica_costs_no_read_an_error() {
    let (place, _turn) = disturbed_place();
    place.psql("INSERT INTO items VALUES (1)");
    run(async {
        let database = connect(config(&place)).await;
        let readers = Readers::start(&database);
        readers.go_on().await;
        place.replica().kill();
        readers.go_on().await;
        until("reads go to main", || !is_used(&database)).await;
        readers.go_on().await;
        assert!(!is_on_replica(&database).await);
        place.replica().start().unwrap();
        until("reads go to the replica", || is_used(&database)).await;
        readers.go_on().await;
        assert!(is_on_replica(&database).await);
        let slowest = readers.stop().await;
        assert!(
            slowest < Duration::from_secs(1),
            "a read waited for {slowest:?} although the main database was there"
        );
    });
}

#[test]
fn a_replica_that_hangs_costs_no_read_more_than_the_limits() {
    let (place, _turn) = disturbed_place();
    place.psql("INSERT INTO items VALUES (1)");
    run(async {
        let mut config = config(&place);
        config.statement_timeout = Duration::from_secs(1);
        config.connect_timeout = Duration::from_secs(1);
        let database = connect(config).await;
        let readers = Readers::start(&database);
        readers.go_on().await;
        place.replica().pause().unwrap();
        readers.go_on().await;
        until("reads go to main", || !is_used(&database)).await;
        readers.go_on().await;
        place.replica().resume().unwrap();
        until("reads go to the replica", || is_used(&database)).await;
        let slowest = readers.stop().await;
        assert!(slowest < Duration::from_secs(15), "{slowest:?}");
    });
}

#[test]
fn a_replica_that_comes_later_is_found() {
    let (place, _turn) = disturbed_place();
    place.psql("INSERT INTO items VALUES (1)");
    run(async {
        let config = config(&place);
        place.replica().kill();
        let began = Instant::now();
        let database = connect(config).await;
        assert!(began.elapsed() < Duration::from_secs(4), "waited {:?} for a replica", began.elapsed());
        let report = database.report().replica.unwrap();
        assert!(!report.is_used && report.reason.unwrap().contains("connect to 127.0.0.1"));
        assert!(!is_on_replica(&database).await);
        let readers = Readers::start(&database);
        readers.go_on().await;
        place.replica().start().unwrap();
        until("reads go to the replica", || is_used(&database)).await;
        assert!(is_on_replica(&database).await);
        readers.stop().await;
    });
}
