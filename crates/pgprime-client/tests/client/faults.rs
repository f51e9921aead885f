//! The database stopped, killed and silent, under load.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use pgprime_client::{ConnectError, Database, Error, RetryPolicy};
use pgprime_cluster::{Cluster, ClusterOptions, StopMode};

use crate::support::{Place, Proxy, at_rest, connect, main_pool, place, run, secret, until, value};

const TIMEOUT: Duration = Duration::from_secs(3);

/// A cluster that nobody else uses. It ends with the process.
fn own_place() -> Place {
    // What was acknowledged must survive a kill.
    let options = ClusterOptions::default().with_setting("synchronous_commit", "on");
    Place::on(Box::leak(Box::new(Cluster::start(&options).unwrap())))
}

#[test]
fn a_database_that_is_down_is_told_at_once_and_found_again_by_itself() {
    let place = own_place();
    run(async {
        let proxy = Proxy::start(place.primary().port()).await;
        let database = connect(place.config_at(proxy.port())).await;
        place.primary().stop(StopMode::Fast).unwrap();
        let began = Instant::now();
        let error = database.main().idempotent().query("SELECT 1", &[]).await.unwrap_err();
        assert!(matches!(error, Error::Down { pool: "main", .. }), "{error}");
        // A restart passes as waiting; this takes longer.
        assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
        assert!(error.is_retryable() && error.to_string().contains("connect to 127.0.0.1"), "{error}");
        // From here on nobody waits, however many they are, and the database is left alone.
        let (before, began) = (proxy.accepted(), Instant::now());
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let main = database.main();
                tokio::spawn(async move { main.query("SELECT 1", &[]).await.map(drop) })
            })
            .collect();
        for task in tasks {
            let error = task.await.unwrap().unwrap_err();
            assert!(matches!(error, Error::Down { .. }), "{error}");
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert!(proxy.accepted() - before <= 4, "{} attempts", proxy.accepted() - before);
        let (pool, began) = (main_pool(&database), Instant::now());
        assert!(
            pool.is_failing && pool.size == 0 && pool.busy == 0 && pool.connect_errors_total < 20,
            "{pool:?}"
        );

        place.primary().start().unwrap();
        until("the pool is open again", || !main_pool(&database).is_failing).await;
        assert_eq!(value::<i32>(&database.main(), "SELECT 1").await, 1);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let pool = at_rest(&database).await;
        assert!(pool.size >= 1 && pool.size <= 4, "{pool:?}");
    });
}

/// What the writers did and saw.
#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<HashSet<String>>,
    uncertain: Mutex<HashSet<String>>,
    /// Failed in a way that excludes that they are there.
    refused: Mutex<HashSet<String>>,
    is_over: AtomicBool,
    slowest_ms: AtomicU64,
}

impl Ledger {
    fn settle(&self, key: String, outcome: Result<(), Error>) {
        let set = match &outcome {
            Ok(()) => &self.acknowledged,
            Err(Error::CommitUncertain { .. }) => &self.uncertain,
            Err(error) if error.is_connection_lost() => &self.uncertain,
            Err(Error::Down { .. } | Error::Exhausted(_)) => &self.refused,
            Err(error) => panic!("not a documented outcome of a lost server: {error:?}"),
        };
        set.lock().unwrap().insert(key);
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }
}

/// Writes keys that never come again, by turns as single statements and in transactions.
async fn write_on(database: Database, ledger: Arc<Ledger>, writer: u32) {
    let insert = "INSERT INTO marks VALUES ($1)";
    for number in 0_u32.. {
        if ledger.is_over.load(Ordering::SeqCst) {
            return;
        }
        let key = format!("{}-{writer}-{number}", secret(0));
        let (main, began, bound) = (database.main(), Instant::now(), &key);
        let outcome = match number % 2 {
            0 => main.execute(insert, &[bound]).await.map(drop),
            _ => {
                let work = main.transaction(|transaction| async move {
                    transaction.execute(insert, &[bound]).await?;
                    transaction.query_one("SELECT 1", &[]).await.map(drop)
                });
                work.await
            }
        };
        ledger.slowest_ms.fetch_max(u64::try_from(began.elapsed().as_millis()).unwrap(), Ordering::SeqCst);
        ledger.settle(key, outcome);
    }
}

#[test]
fn restarts_and_kills_under_load_lose_and_repeat_nothing() {
    let place = own_place();
    run(async {
        let mut config = place.config();
        config.pool_max = Some(8);
        config.timeout = TIMEOUT;
        config.retry = RetryPolicy { time_max: TIMEOUT, ..RetryPolicy::default() };
        let database = connect(config).await;
        let ledger = Arc::new(Ledger::default());
        let tasks: Vec<_> = (0..50)
            .map(|writer| tokio::spawn(write_on(database.clone(), Arc::clone(&ledger), writer)))
            .collect();
        let node = place.primary();
        let faults: [&dyn Fn(); 3] = [&|| node.kill(), &|| node.stop(StopMode::Fast).unwrap(), &|| {
            node.stop(StopMode::Immediate).unwrap()
        }];
        for fault in faults {
            let more = ledger.acknowledged() + 300;
            until("there is load", || ledger.acknowledged() > more).await;
            fault();
            node.start().unwrap();
        }
        let more = ledger.acknowledged() + 300;
        until("there is load again", || ledger.acknowledged() > more).await;
        ledger.is_over.store(true, Ordering::SeqCst);
        for task in tasks {
            task.await.unwrap();
        }
        // No operation hung: waiting, and as long again for its retries.
        let slowest = ledger.slowest_ms.load(Ordering::SeqCst);
        assert!(slowest < 9_000, "{slowest} ms");
        check_ledger(&place, &ledger);

        let pool = at_rest(&database).await;
        assert!(pool.size >= 1 && pool.size <= 8 && pool.waiting == 0, "{pool:?}");
        let closed = pool.closed_total;
        let gone =
            closed.died + closed.unclean + closed.idle + closed.discarded + closed.lifetime + closed.evicted;
        assert_eq!(pool.opened_total - gone, u64::from(pool.size), "{pool:?}");
        assert!(place.sessions("true") <= 8 && place.sessions("state LIKE 'idle in%'") == 0);
        let counts = database.report().main.queries;
        assert!(
            counts.commits_uncertain_total <= ledger.uncertain.lock().unwrap().len() as u64,
            "{counts:?}"
        );
        // All of them are good.
        for _ in 0..20 {
            assert_eq!(value::<i32>(&database.main(), "SELECT 1").await, 1);
        }
    });
}

fn check_ledger(place: &Place, ledger: &Ledger) {
    let found: Vec<String> = place.psql("SELECT key FROM marks").lines().map(str::to_owned).collect();
    let unique: HashSet<String> = found.iter().cloned().collect();
    assert_eq!(found.len(), unique.len(), "a write was applied twice");
    let acknowledged = ledger.acknowledged.lock().unwrap();
    let lost: Vec<&String> = acknowledged.difference(&unique).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let refused = ledger.refused.lock().unwrap();
    let applied: Vec<&String> = refused.intersection(&unique).collect();
    assert!(applied.is_empty(), "refused and applied: {applied:?}");
    let uncertain = ledger.uncertain.lock().unwrap();
    assert!(unique.iter().all(|key| acknowledged.contains(key) || uncertain.contains(key)));
}

#[test]
fn a_network_that_is_silent_costs_no_more_than_the_limits() {
    let place = place();
    run(async {
        let proxy = Proxy::start(place.primary().port()).await;
        let mut config = place.config_at(proxy.port());
        config.pool_max = Some(2);
        config.timeout = Duration::from_millis(500);
        config.connect_timeout = Duration::from_millis(500);
        config.statement_timeout = Duration::from_millis(700);
        config.check_after_idle = Duration::from_millis(1);
        config.retry = RetryPolicy::NEVER;
        let database = connect(config).await;
        // In a transaction, whose next statement and whose COMMIT get no answer, and in a statement by itself.
        let (began, network) = (Instant::now(), &proxy);
        let in_statement = |database: Database| async move {
            let main = database.main();
            let work = main.transaction(|transaction| async move {
                transaction.execute("INSERT INTO marks VALUES ('mark')", &[]).await?;
                network.stall();
                transaction.execute("INSERT INTO marks VALUES ('mark')", &[]).await
            });
            work.await.unwrap_err()
        };
        let error = in_statement(database.clone()).await;
        assert!(
            error.is_connection_lost() && error.to_string().contains("no answer within 5.7 s"),
            "{error}"
        );
        // Waiting for a connection, while none can be opened.
        let error = database.main().query("SELECT 1", &[]).await.unwrap_err();
        assert!(matches!(error, Error::Down { .. } | Error::Exhausted(_)), "{error}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

        proxy.go_on();
        until("the pool is open again", || !main_pool(&database).is_failing).await;
        let main = database.main();
        let at_commit = main.transaction(|transaction| async move {
            transaction.execute("INSERT INTO marks VALUES ('mark')", &[]).await?;
            network.stall();
            Ok::<(), Error>(())
        });
        let error = at_commit.await.unwrap_err();
        assert!(matches!(error, Error::CommitUncertain { .. }), "{error}");

        proxy.go_on();
        until("the pool is open again", || !main_pool(&database).is_failing).await;
        assert_eq!(value::<i32>(&database.main().with_wait(Duration::from_secs(10)), "SELECT 1").await, 1);
        let pool = at_rest(&database).await;
        assert!(pool.size <= 2 && pool.busy == 0, "{pool:?}");
    });
}

#[test]
fn statements_given_up_in_a_silent_network_give_their_places_back() {
    let place = place();
    run(async {
        let proxy = Proxy::start(place.primary().port()).await;
        let mut config = place.config_at(proxy.port());
        config.pool_max = Some(2);
        config.connect_timeout = Duration::from_secs(1);
        let database = connect(config).await;
        value::<i32>(&database.main(), "SELECT 1").await;
        proxy.stall();
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let main = database.main();
                tokio::spawn(async move {
                    tokio::time::timeout(Duration::from_millis(100), main.query("SELECT 1", &[]))
                        .await
                        .is_err()
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap(), "an answer came out of a silent network");
        }
        until("what was given up is closed", || main_pool(&database).busy == 0).await;
        proxy.go_on();
        assert_eq!(value::<i32>(&database.main(), "SELECT 1").await, 1);
        assert!(at_rest(&database).await.size <= 2);
    });
}

#[test]
fn a_server_that_refuses_is_named_with_its_reason() {
    let place = place();
    run(async {
        let proxy = Proxy::start(place.primary().port()).await;
        proxy.set_refusing(true);
        let mut config = place.config_at(proxy.port());
        config.timeout = Duration::from_millis(300);
        let error = Database::connect(config).await.unwrap_err();
        let Error::Down { cause, .. } = &error else { panic!("{error}") };
        assert!(matches!(**cause, ConnectError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
        let log = place.primary().log();
        assert!(!log.contains("SECRET-never"), "the log can be read");
    });
}

/// Polls a future so many times at most, and drops it then.
async fn give_up_after<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Every way of using a connection, given up at every point.
async fn use_and_give_up(database: Database, random: &mut fastrand::Rng, key: i64) {
    let (main, polls) = (database.main(), random.u32(0..6));
    match random.u32(0..100) {
        0..60 => {
            if let Some(row) = give_up_after(polls, main.query_one("SELECT $1::bigint", &[&key])).await {
                assert_eq!(row.unwrap().get::<_, i64>(0), key, "another's answer");
            }
        }
        60..80 => {
            let work = main.transaction(|transaction| async move {
                transaction
                    .execute("SELECT set_config('pgprime.key', $1::bigint::text, true)", &[&key])
                    .await?;
                let found = transaction.query_one("SELECT current_setting('pgprime.key')", &[]).await?;
                assert_eq!(found.get::<_, &str>(0), key.to_string());
                Ok::<(), Error>(())
            });
            let _outcome = give_up_after(polls, work).await.transpose().unwrap();
        }
        80..90 => drop(give_up_after(polls, main.acquire()).await),
        90..97 => {
            let rows = give_up_after(polls, main.query_stream("SELECT generate_series(1, 9000)", &[])).await;
            if let Some(rows) = rows {
                drop(give_up_after(polls, rows.unwrap().next()).await);
            }
        }
        97..99 => {
            drop(give_up_after(polls, main.batch("SELECT $1::bigint", &[vec![&key], vec![&key]])).await)
        }
        _ => drop(give_up_after(1, main.query("SELECT pg_sleep(0.2)", &[])).await),
    }
}

#[test]
fn twenty_thousand_uses_given_up_at_random_lose_no_connection() {
    let place = place();
    run(async {
        let mut config = place.config();
        config.pool_max = Some(8);
        config.timeout = Duration::from_secs(60);
        let database = connect(config).await;
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let tasks: Vec<_> = (0..40_u64)
            .map(|task| {
                let database = database.clone();
                tokio::spawn(async move {
                    let mut random = fastrand::Rng::with_seed(seed + task);
                    for use_ in 0..500 {
                        let key = i64::try_from(task * 1_000 + use_).unwrap();
                        use_and_give_up(database.clone(), &mut random, key).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let pool = at_rest(&database).await;
        assert!(pool.size == pool.idle && pool.size <= 8, "{pool:?}");
        assert_eq!(
            (pool.exhausted_total, pool.leaked_total, pool.connect_errors_total),
            (0, 0, 0),
            "{pool:?}"
        );
        assert!(pool.cleaned_total > 100, "{pool:?}");
        assert_eq!(pool.closed_total.unclean, 0, "{pool:?}");
        until("nothing runs any more", || place.sessions("state <> 'idle'") == 0).await;
        assert!(place.sessions("true") <= 8);
        assert_eq!(u64::from(place.sessions("true")), u64::from(pool.size));
    });
}
