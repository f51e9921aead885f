//! A transaction as a closure.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pgprime_client::{
    Access, Database, DatabaseConfig, Error, Freshness, Isolation, Keyset, Rows, Session, StatementRef,
    Transaction, TransactionOptions, Writes,
};
use tokio::sync::Notify;
use tokio_postgres::types::ToSql;

use crate::support::{at_rest, connect, place, run, secret, sqlstate, until, value};

/// An application's own error.
#[derive(Debug)]
enum Refusal {
    TooYoung(u32),
    Database(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

#[test]
fn what_returns_ok_is_committed_and_its_value_comes_back() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let text = secret(1);
        // The closure borrows what is around it.
        let (borrowed, wanted) = (&text, vec![1_i64, 2, 3]);
        let wanted = &wanted;
        let main = database.main();
        let sum = main.transaction(|transaction| async move {
            for id in wanted {
                transaction.execute("INSERT INTO items (id, text) VALUES ($1, $2)", &[id, borrowed]).await?;
            }
            let row = transaction
                .query_one("SELECT sum(id)::bigint FROM items WHERE text = $1", &[borrowed])
                .await?;
            Ok::<i64, Error>(row.get(0))
        });
        assert_eq!(sum.await.unwrap(), 6);
        assert_eq!(place.psql("SELECT count(*) FROM items"), "3");
        at_rest(&database).await;
        assert_eq!(place.sessions("state LIKE 'idle in%'"), 0);
    });
}

#[test]
fn what_returns_an_error_is_rolled_back_and_the_error_comes_back() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let outcome: Result<(), Refusal> = database
            .main()
            .transaction(|transaction| async move {
                transaction.execute("INSERT INTO items VALUES (1)", &[]).await?;
                Err(Refusal::TooYoung(17))
            })
            .await;
        assert!(matches!(outcome, Err(Refusal::TooYoung(17))), "{outcome:?}");
        let outcome: Result<u64, Refusal> = database
            .main()
            .transaction(|transaction| async move {
                transaction.execute("INSERT INTO items VALUES (1)", &[]).await?;
                Ok(transaction.execute("INSERT INTO items VALUES (1)", &[]).await?)
            })
            .await;
        assert!(
            matches!(&outcome, Err(Refusal::Database(error)) if error.sqlstate() == "23505"),
            "{outcome:?}"
        );
        assert_eq!(place.psql("SELECT count(*) FROM items"), "0");
        assert_eq!(database.report().main.queries.retries_total, 0);
        at_rest(&database).await;
    });
}

#[test]
fn savepoints_nest() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let insert = "INSERT INTO items (id) VALUES ($1)";
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            transaction.execute(insert, &[&1_i64]).await?;
            let failed = transaction.savepoint(|outer| async move {
                outer.execute(insert, &[&2_i64]).await?;
                outer.savepoint(|inner| async move { inner.execute(insert, &[&3_i64]).await }).await?;
                let inner = outer.savepoint(|inner| async move {
                    inner.execute(insert, &[&4_i64]).await?;
                    inner.execute(insert, &[&1_i64]).await
                });
                assert_eq!(sqlstate(inner.await), "23505");
                // Only the innermost is undone; a failed statement is over with it.
                outer.execute(insert, &[&5_i64]).await
            });
            failed.await?;
            let refused: Result<(), Refusal> = transaction
                .savepoint(|savepoint| async move {
                    savepoint.execute(insert, &[&6_i64]).await?;
                    Err(Refusal::TooYoung(6))
                })
                .await;
            assert!(matches!(refused, Err(Refusal::TooYoung(6))));
            // A savepoint whose closure hides a failure is undone, and says so.
            let hidden: Result<(), Error> = transaction
                .savepoint(|savepoint| async move {
                    savepoint.execute(insert, &[&7_i64]).await?;
                    let _hidden = savepoint.execute(insert, &[&1_i64]).await;
                    Ok(())
                })
                .await;
            assert!(matches!(hidden, Err(Error::Usage(_))), "{hidden:?}");
            Ok::<(), Error>(())
        });
        outcome.await.unwrap();
        assert_eq!(place.psql("SELECT string_agg(id::text, ',' ORDER BY id) FROM items"), "1,2,3,5");
    });
}

#[test]
fn ok_after_a_failed_statement_is_refused() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            transaction.execute("INSERT INTO items VALUES (1)", &[]).await?;
            let _swallowed = transaction.execute("SELECT 1 / 0", &[]).await;
            Ok::<(), Error>(())
        });
        let error = outcome.await.unwrap_err();
        assert!(matches!(&error, Error::Usage(text) if text.contains("rolled back although")), "{error}");
        assert_eq!(place.psql("SELECT count(*) FROM items"), "0");
        at_rest(&database).await;
        // None or several rows where one was asked for leave it as it is.
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            let none = transaction.query_one("SELECT 1 WHERE false", &[]).await;
            let several = transaction.query_opt("SELECT generate_series(1, 3)", &[]).await;
            assert!(none.is_err() && several.is_err());
            transaction.execute("INSERT INTO items VALUES (1)", &[]).await
        });
        assert_eq!(outcome.await.unwrap(), 1);
        assert_eq!(place.psql("SELECT count(*) FROM items"), "1");
    });
}

#[test]
fn a_handle_kept_after_the_end_refuses() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let kept = database
            .main()
            .transaction(|transaction| async move { Ok::<Transaction, Error>(transaction) })
            .await
            .unwrap();
        for outcome in [
            kept.execute("INSERT INTO items VALUES (1)", &[]).await,
            kept.savepoint(|it| async move { it.execute("INSERT INTO items VALUES (1)", &[]).await }).await,
        ] {
            assert!(matches!(&outcome, Err(Error::Usage(text)) if text.contains("is over")), "{outcome:?}");
        }
        drop(kept);
        let pool = at_rest(&database).await;
        assert_eq!(pool.closed_total.unclean, 0);
        assert_eq!(place.psql("SELECT count(*) FROM items"), "0");
    });
}

#[test]
fn dropped_midway_it_is_rolled_back_and_the_connection_goes_on() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.pool_max = Some(1);
        let database = connect(config).await;
        let pid: i32 = value(&database.main(), "SELECT pg_backend_pid()").await;
        // Between two statements, and in the middle of one.
        for during in ["", "SELECT pg_sleep(60)"] {
            let is_there = Arc::new(Notify::new());
            let task = tokio::spawn({
                let (database, is_there) = (database.clone(), Arc::clone(&is_there));
                async move {
                    let is_there = &is_there;
                    let main = database.main();
                    let endless = main.transaction(|transaction| async move {
                        transaction.execute("INSERT INTO items VALUES (1)", &[]).await?;
                        is_there.notify_one();
                        match during {
                            "" => std::future::pending().await,
                            sql => transaction.execute(sql, &[]).await,
                        }
                    });
                    endless.await.map(drop)
                }
            });
            is_there.notified().await;
            if !during.is_empty() {
                until("it sleeps", || place.sessions("wait_event = 'PgSleep'") == 1).await;
            }
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            // Whoever comes next finds a connection without the other's work.
            assert_eq!(value::<i64>(&database.main(), "SELECT count(*) FROM items").await, 0);
            assert_eq!(value::<i32>(&database.main(), "SELECT pg_backend_pid()").await, pid);
        }
        let pool = at_rest(&database).await;
        assert_eq!((pool.cleaned_total, pool.closed_total.unclean, pool.opened_total), (2, 0, 1), "{pool:?}");
        assert_eq!(place.sessions("state <> 'idle'"), 0);
    });
}

#[test]
fn statements_sent_together_run_in_order() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let main = database.main();
        let seen = main.transaction(|transaction| async move {
            let transaction = &transaction;
            let (insert, update, select) = (
                "INSERT INTO items VALUES ($1, '', 10)",
                "UPDATE items SET n = n + 1",
                "SELECT n FROM items WHERE id = $1",
            );
            // The first use of a statement prepares it.
            transaction.execute(insert, &[&1_i64]).await?;
            transaction.execute(update, &[]).await?;
            transaction.query_one(select, &[&1_i64]).await?;
            let (inserted, updated, row) = tokio::join!(
                transaction.execute(insert, &[&2_i64]),
                transaction.execute(update, &[]),
                transaction.query_one(select, &[&2_i64]),
            );
            Ok::<_, Error>((inserted?, updated?, row?.get::<_, i32>(0)))
        });
        assert_eq!(seen.await.unwrap(), (1, 2, 11));
    });
}

#[test]
fn isolation_and_read_only_are_as_asked_for() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let sql = "SELECT current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only')";
        for (isolation, writes, expected) in [
            (Isolation::ReadCommitted, Writes::Allowed, "read committed off"),
            (Isolation::RepeatableRead, Writes::Refused, "repeatable read on"),
            (Isolation::Serializable, Writes::Allowed, "serializable off"),
        ] {
            let options = TransactionOptions { isolation, writes };
            let main = database.main();
            let found = main.transaction_with(options, |transaction| async move {
                Ok::<String, Error>(transaction.query_one(sql, &[]).await?.get(0))
            });
            assert_eq!(found.await.unwrap(), expected);
        }
        let options = TransactionOptions { writes: Writes::Refused, ..TransactionOptions::default() };
        let main = database.main();
        let outcome = main.transaction_with(options, |transaction| async move {
            transaction.execute("INSERT INTO items VALUES (1)", &[]).await
        });
        assert_eq!(sqlstate(outcome.await), "25006");
    });
}

#[test]
fn what_commit_finds_is_an_error_and_not_a_success() {
    run(async {
        let place = place();
        place.psql(
            "CREATE TABLE children (parent bigint REFERENCES items DEFERRABLE INITIALLY DEFERRED); \
             INSERT INTO items VALUES (1)",
        );
        let database = place.connect().await;
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            transaction.execute("INSERT INTO children VALUES (2)", &[]).await
        });
        assert_eq!(sqlstate(outcome.await), "23503");
        let pool = at_rest(&database).await;
        assert_eq!(place.psql("SELECT count(*) FROM children"), "0");
        assert_eq!(pool.closed_total.unclean, 0, "{pool:?}");
    });
}

#[test]
fn what_a_transaction_does_to_its_session_does_not_reach_the_next() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.pool_max = Some(1);
        let database = connect(config).await;
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            transaction.execute("SET statement_timeout = '1234ms'", &[]).await?;
            transaction.execute("CREATE TEMP TABLE own (x int)", &[]).await?;
            transaction.query("SELECT pg_advisory_lock(7)", &[]).await.map(drop)
        });
        outcome.await.unwrap();
        let sql = "SELECT current_setting('statement_timeout') || ' ' || (SELECT count(*) FROM pg_class WHERE \
                   relname = 'own') || ' ' || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND \
                   database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        assert_eq!(value::<String>(&database.main(), sql).await, "30s 0 0");
    });
}

fn is_send<F: Future + Send>(_: &F) {}

/// All futures may move between threads; those that are never polled do nothing.
#[test]
#[allow(clippy::too_many_lines, reason = "a list")]
fn all_futures_are_send() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let (main, none): (Access, &[&(dyn ToSql + Sync)]) = (database.main(), &[]);
        let rows: Vec<Vec<&(dyn ToSql + Sync)>> = vec![];
        let keyset = Keyset::new("SELECT 1 AS id", 1);
        is_send(&Database::connect(DatabaseConfig::new("postgres://nowhere")));
        is_send(&database.close());
        is_send(&pgprime_client::connect("postgres://nowhere", Duration::ZERO));
        is_send(&main.query("SELECT 1", none));
        is_send(&main.query_one("SELECT 1", none));
        is_send(&main.query_opt("SELECT 1", none));
        is_send(&main.execute("SELECT 1", none));
        is_send(&main.page(&keyset, none, None));
        is_send(&main.acquire());
        is_send(&main.query_stream("SELECT 1", none));
        is_send(&main.batch("SELECT 1", &rows));
        is_send(&main.transaction(work));
        is_send(&main.transaction_with(TransactionOptions::default(), work));
        let mut session: Session = database.session(Freshness::Avoid);
        is_send(&session.read());
        is_send(&session.query("SELECT 1", none));
        is_send(&session.execute("SELECT 1", none));
        is_send(&session.transaction(work));
        let connection = main.acquire().await.unwrap();
        is_send(&connection.query("SELECT 1", none));
        is_send(&connection.query_one("SELECT 1", none));
        is_send(&connection.query_opt("SELECT 1", none));
        is_send(&connection.execute("SELECT 1", none));
        is_send(&connection.query_stream("SELECT 1", none));
        is_send(&connection.batch("SELECT 1", &rows));
        is_send(&connection.batch_execute("SELECT 1"));
        let mut rows: Rows = main.query_stream("SELECT 1", none).await.unwrap();
        is_send(&rows.next());
        // As an application has it: in a task of its own.
        tokio::spawn(async move { main.transaction(work).await }).await.unwrap().unwrap();
    });
}

async fn work(transaction: Transaction) -> Result<(), Error> {
    let statement: StatementRef<'_> = "SELECT 1".into();
    is_send(&transaction.query(statement, &[]));
    is_send(&transaction.query_one(statement, &[]));
    is_send(&transaction.query_opt(statement, &[]));
    is_send(&transaction.execute(statement, &[]));
    is_send(&transaction.query_stream(statement, &[]));
    is_send(&transaction.batch(statement, &[]));
    is_send(&transaction.savepoint(|_| async { Ok::<(), Error>(()) }));
    Ok(())
}
