//! What is tried again, how often, and what never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pgprime_client::{
    Database, DatabaseConfig, Error, Isolation, QueryCounts, RetryPolicy, Step, TransactionOptions,
};
use tokio::sync::Barrier;

use crate::support::{Cut, Place, Proxy, Trigger, at_rest, connect, place, run, sqlstate, until, value};

/// As many attempts as the default, without the pauses.
const QUICK: RetryPolicy = RetryPolicy {
    attempts_max: 5,
    time_max: Duration::from_secs(30),
    pause_first: Duration::ZERO,
    pause_max: Duration::ZERO,
};

const SERIALIZABLE: TransactionOptions =
    TransactionOptions { isolation: Isolation::Serializable, writes: pgprime_client::Writes::Allowed };

fn counts(database: &Database) -> QueryCounts {
    database.report().main.queries
}

/// Adds one to the first item, and is disturbed by another who does the same in its first attempts.
async fn add_disturbed(
    database: &Database,
    disturbed: u32,
    policy: RetryPolicy,
) -> (Result<u64, Error>, u32) {
    let attempts = AtomicU32::new(0);
    let (counted, other) = (&attempts, &database.admin());
    let main = database.main().with_retry(policy);
    let outcome = main.transaction_with(SERIALIZABLE, |transaction| async move {
        let attempt = counted.fetch_add(1, Ordering::SeqCst) + 1;
        transaction.query_one("SELECT n FROM items WHERE id = 1", &[]).await?;
        if attempt <= disturbed {
            other.execute("UPDATE items SET n = n + 100 WHERE id = 1", &[]).await?;
        }
        transaction.execute("UPDATE items SET n = n + 1 WHERE id = 1", &[]).await
    });
    (outcome.await, attempts.load(Ordering::SeqCst))
}

#[test]
fn serialization_failures_run_the_whole_transaction_again() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1)");
        let database = place.connect().await;
        for (disturbed, policy, attempts, succeeds) in [
            (0, QUICK, 1, true),
            (1, QUICK, 2, true),
            (4, QUICK, 5, true),
            (9, QUICK, 5, false),
            (1, RetryPolicy::NEVER, 1, false),
            (9, RetryPolicy { attempts_max: 2, ..QUICK }, 2, false),
            (
                9,
                RetryPolicy { time_max: Duration::ZERO, pause_first: Duration::from_secs(3), ..QUICK },
                1,
                false,
            ),
        ] {
            place.psql("UPDATE items SET n = 0");
            let before = counts(&database).retries_total;
            let (outcome, found) = add_disturbed(&database, disturbed, policy).await;
            assert_eq!(found, attempts, "{disturbed} {policy:?}");
            assert_eq!(counts(&database).retries_total - before, u64::from(attempts - 1), "{disturbed}");
            let expected = 100 * disturbed.min(attempts) + u32::from(succeeds);
            assert_eq!(place.psql("SELECT n FROM items"), expected.to_string(), "{disturbed}");
            match outcome {
                Ok(changed) => assert!(succeeds && changed == 1),
                Err(error) => {
                    assert!(!succeeds && error.is_retryable() && error.sqlstate() == "40001", "{error}");
                }
            }
        }
        at_rest(&database).await;
    });
}

#[test]
fn conflicts_that_only_commit_finds_are_retried() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1), (2)");
        let database = place.connect().await;
        let attempts = AtomicU32::new(0);
        let (counted, other) = (&attempts, &database.admin());
        let main = database.main().with_retry(QUICK);
        let outcome = main.transaction_with(SERIALIZABLE, |transaction| async move {
            let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let sum = "SELECT sum(n) FROM items";
            transaction.query_one(sum, &[]).await?;
            transaction.execute("UPDATE items SET n = 1 WHERE id = 1", &[]).await?;
            if is_first {
                let skewed = other.transaction_with(SERIALIZABLE, |other| async move {
                    other.query_one(sum, &[]).await?;
                    other.execute("UPDATE items SET n = 1 WHERE id = 2", &[]).await
                });
                skewed.await?;
            }
            Ok::<(), Error>(())
        });
        outcome.await.unwrap();
        assert_eq!((attempts.load(Ordering::SeqCst), counts(&database).retries_total), (2, 1));
        assert_eq!(place.psql("SELECT sum(n) FROM items"), "2");
    });
}

#[test]
fn the_victim_of_a_deadlock_is_run_again() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1), (2)");
        let database = place.connect().await;
        let (attempts, both) = (Arc::new(AtomicU32::new(0)), Arc::new(Barrier::new(2)));
        let tasks = [(1_i64, 2_i64), (2, 1)].map(|(first, second)| {
            let (database, attempts, both) = (database.clone(), Arc::clone(&attempts), Arc::clone(&both));
            tokio::spawn(async move {
                let (attempts, both) = (&attempts, &both);
                let own = &AtomicU32::new(0);
                let main = database.main();
                let lock = "UPDATE items SET n = n + 1 WHERE id = $1";
                let outcome = main.transaction(|transaction| async move {
                    attempts.fetch_add(1, Ordering::SeqCst);
                    transaction.execute(lock, &[&first]).await?;
                    if own.fetch_add(1, Ordering::SeqCst) == 0 {
                        both.wait().await;
                    }
                    transaction.execute(lock, &[&second]).await
                });
                outcome.await
            })
        });
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }
        // On a slow machine the one that is run again may be a victim once more.
        let retries = counts(&database).retries_total;
        assert_eq!(u64::from(attempts.load(Ordering::SeqCst)), 2 + retries);
        assert!(retries >= 1);
        assert_eq!(place.psql("SELECT string_agg(n::text, ',') FROM items"), "2,2");
    });
}

#[test]
fn other_errors_are_not_retried() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1)");
        let database = place.connect().await;
        let attempts = AtomicU32::new(0);
        let counted = &attempts;
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            counted.fetch_add(1, Ordering::SeqCst);
            transaction.execute("INSERT INTO items VALUES (1)", &[]).await
        });
        assert_eq!((sqlstate(outcome.await), attempts.load(Ordering::SeqCst)), ("23505".to_owned(), 1));
        for main in [database.main(), database.main().idempotent()] {
            assert_eq!(sqlstate(main.execute("INSERT INTO items VALUES (1)", &[]).await), "23505");
        }
        // A conflict of a single statement is its caller's: it may be part of more.
        let counts = counts(&database);
        assert_eq!((counts.retries_total, counts.commits_uncertain_total), (0, 0));
    });
}

/// A database behind a proxy, with one connection; its statement cache is warm for `sql`.
async fn behind_proxy(place: &Place) -> (Database, Proxy) {
    let proxy = Proxy::start(place.primary().port()).await;
    let mut config = place.config_at(proxy.port());
    config.pool_max = Some(1);
    config.retry = QUICK;
    (connect(config).await, proxy)
}

const MARK: &str = "INSERT INTO marks VALUES ('mark')";

fn marks(place: &Place) -> u32 {
    place.psql("SELECT count(*) FROM marks").parse().unwrap()
}

async fn mark_in_transaction(database: &Database) -> (Result<u64, Error>, u32) {
    let attempts = AtomicU32::new(0);
    let counted = &attempts;
    let main = database.main();
    let outcome = main.transaction(|transaction| async move {
        counted.fetch_add(1, Ordering::SeqCst);
        transaction.execute(MARK, &[]).await
    });
    (outcome.await, attempts.load(Ordering::SeqCst))
}

#[test]
fn a_connection_lost_before_commit_is_retried() {
    run(async {
        let place = place();
        let (database, proxy) = behind_proxy(&place).await;
        for (expected, (trigger, cut)) in [
            (Trigger::Query("BEGIN"), Cut::Before),
            (Trigger::Query("BEGIN"), Cut::After),
            (Trigger::Execute, Cut::Before),
            (Trigger::Execute, Cut::After),
        ]
        .into_iter()
        .enumerate()
        {
            proxy.cut(trigger, cut, 1);
            let (outcome, attempts) = mark_in_transaction(&database).await;
            assert_eq!(outcome.unwrap(), 1, "{trigger:?} {cut:?}");
            assert!(proxy.has_cut());
            let is_begun = matches!(trigger, Trigger::Execute);
            assert_eq!(attempts, 1 + u32::from(is_begun), "{trigger:?} {cut:?}");
            assert_eq!(marks(&place) as usize, expected + 1, "{trigger:?} {cut:?}");
            assert_eq!(counts(&database).retries_total as usize, expected + 1);
        }
        // It is bounded, too.
        proxy.cut(Trigger::Execute, Cut::After, 99);
        let (outcome, attempts) = mark_in_transaction(&database).await;
        assert!(outcome.unwrap_err().is_connection_lost());
        assert_eq!((attempts, marks(&place)), (5, 4));
    });
}

#[test]
fn a_connection_lost_during_commit_leaves_the_outcome_open() {
    run(async {
        let place = place();
        let (database, proxy) = behind_proxy(&place).await;
        for (cut, expected) in [(Cut::Before, 0), (Cut::After, 1)] {
            proxy.cut(Trigger::Query("COMMIT"), cut, 1);
            let (outcome, attempts) = mark_in_transaction(&database).await;
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::CommitUncertain { .. }), "{error}");
            assert_eq!(
                (error.step(), error.sqlstate(), error.is_retryable()),
                (Step::Commit, "08007", false)
            );
            assert_eq!((attempts, marks(&place)), (1, expected), "{cut:?}");
        }
        let counts = counts(&database);
        assert_eq!((counts.retries_total, counts.commits_uncertain_total), (0, 2), "{counts:?}");
        // A transaction that cannot write may be read again.
        proxy.cut(Trigger::Query("COMMIT"), Cut::After, 1);
        let sql = "SELECT count(*) FROM marks";
        let read = database.read();
        let seen = read.transaction(|transaction| async move {
            Ok::<i64, Error>(transaction.query_one(sql, &[]).await?.get(0))
        });
        assert_eq!(seen.await.unwrap(), 1);
        assert_eq!(database.report().read.queries.retries_total, 1);
        at_rest(&database).await;
    });
}

/// The loss is known before COMMIT is sent, so the outcome is known as well.
#[test]
fn a_connection_known_to_be_lost_before_commit_is_not_an_uncertain_commit() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let place = place();
        let database = connect(DatabaseConfig { retry: QUICK, ..place.config() }).await;
        let attempts = AtomicU32::new(0);
        let (counted, place_of) = (&attempts, &place);
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            transaction.execute(MARK, &[]).await?;
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                let pid: i32 = transaction.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
                place_of.psql(&format!("SELECT pg_terminate_backend({pid})"));
                let is_there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
                while place_of.psql(&is_there) != "0" {}
                // The end is in the socket: a runtime of one thread reads it before it wakes anybody by time.
                for _ in 0..10 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            Ok::<(), Error>(())
        });
        outcome.await.unwrap();
        assert_eq!((attempts.load(Ordering::SeqCst), marks(&place)), (2, 1));
        assert_eq!((counts(&database).retries_total, counts(&database).commits_uncertain_total), (1, 0));
    });
}

#[test]
fn a_statement_that_was_sent_is_not_sent_again() {
    run(async {
        let place = place();
        let (database, proxy) = behind_proxy(&place).await;
        database.main().execute(MARK, &[]).await.unwrap();
        for (cut, expected) in [(Cut::Before, 1), (Cut::After, 2)] {
            proxy.cut(Trigger::Execute, cut, 1);
            let error = database.main().execute(MARK, &[]).await.unwrap_err();
            assert!(error.is_connection_lost() && !error.is_retryable(), "{error}");
            assert!(proxy.has_cut());
            assert_eq!(marks(&place), expected, "{cut:?}");
            assert_eq!(value::<i32>(&database.main(), "SELECT 1").await, 1);
        }
        assert_eq!(counts(&database).retries_total, 0);
    });
}

#[test]
fn what_may_run_twice_is_sent_again() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1)");
        let (database, proxy) = behind_proxy(&place).await;
        let main = database.main().idempotent();
        proxy.cut(Trigger::Execute, Cut::After, 2);
        assert_eq!(main.execute("UPDATE items SET n = n + 1", &[]).await.unwrap(), 1);
        assert_eq!((place.psql("SELECT n FROM items"), counts(&database).retries_total), ("3".to_owned(), 2));

        // Reads are so by themselves: here the main database stands in, so there is a BEGIN before.
        for trigger in [Trigger::Query("BEGIN"), Trigger::Execute, Trigger::Query("COMMIT")] {
            for cut in [Cut::Before, Cut::After] {
                proxy.cut(trigger, cut, 1);
                assert_eq!(
                    value::<i32>(&database.read(), "SELECT n FROM items").await,
                    3,
                    "{trigger:?} {cut:?}"
                );
                assert!(proxy.has_cut());
            }
        }
        assert_eq!(database.report().read.queries.retries_total, 6);
        let pool = at_rest(&database).await;
        assert!(pool.size <= 1, "{pool:?}");
    });
}

#[test]
fn a_dead_connection_in_the_pool_costs_nobody_an_error() {
    run(async {
        let place = place();
        let (database, proxy) = behind_proxy(&place).await;
        for _ in 0..10 {
            database.main().execute(MARK, &[]).await.unwrap();
            proxy.cut_all();
            until("the death is noticed", || database.main().try_acquire().is_none()).await;
        }
        assert_eq!(marks(&place), 10);
        let pool = at_rest(&database).await;
        assert_eq!((pool.closed_total.died, pool.connect_errors_total), (10, 0), "{pool:?}");
    });
}
