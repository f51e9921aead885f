//! tokio-postgres: COPY, transactions, cancelling and notices.

use std::io::Cursor;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use futures_util::{SinkExt, TryStreamExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgprime_wire::frontend::encode;
use pgprime_wire::startup::{self, CancelKey};
use tokio_postgres::{AsyncMessage, NoTls};

use crate::harness::{
    Client, Pooler, RawClient, Setup, cell, cluster, database_behind_pooler, eventually, run, sqlstate,
    wait_until,
};

#[test]
fn copy_in_and_out() {
    let (database, pooler) = database_behind_pooler("copy", 2);
    let clients = async |number: u32| {
        let client = pooler.connect(&database).await;
        let table = format!("t{number}");
        client.batch_execute(&format!("CREATE TABLE {table} (id int, word text)")).await?;
        let sink = client.copy_in(&format!("COPY {table} FROM STDIN")).await?;
        let mut sink = Box::pin(sink);
        let mut expected = Vec::new();
        for chunk in 0..200 {
            let lines: String =
                (0..50).map(|line| format!("{}\tword {number}\n", chunk * 50 + line)).collect();
            expected.extend_from_slice(lines.as_bytes());
            sink.send(bytes(lines)).await?;
        }
        assert_eq!(sink.as_mut().finish().await?, 10_000);
        let rows = client.copy_out(&format!("COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT")).await?;
        let rows = rows.try_fold(Vec::new(), async |mut all, part| {
            all.extend_from_slice(&part);
            Ok(all)
        });
        assert!(rows.await? == expected, "the rows came back changed");

        // One that is given up: nothing of it stays, and the connection goes on.
        let sink = client.copy_in(&format!("COPY {table} FROM STDIN")).await?;
        let mut sink = Box::pin(sink);
        sink.send(bytes("-1\tnever\n".to_owned())).await?;
        drop(sink);
        assert_eq!(client.value(&format!("SELECT count(*) FROM {table}")).await?, "10000");
        Ok::<_, tokio_postgres::Error>(())
    };
    run(try_join_all((0..6).map(clients))).unwrap();
}

fn bytes(text: String) -> Cursor<String> {
    Cursor::new(text)
}

#[test]
fn transactions_keep_their_server() {
    let (database, pooler) = database_behind_pooler("transactions", 2);
    cluster().primary().psql(&database, "CREATE TABLE t (n int); INSERT INTO t VALUES (0)").unwrap();
    let work = async |number: i32| {
        let mut client = pooler.connect(&database).await;
        for round in 0..10 {
            let transaction = client.transaction().await?;
            let backend = |row: tokio_postgres::Row| row.get::<_, i32>(0);
            let first = backend(transaction.query_one("SELECT pg_backend_pid()", &[]).await?);
            transaction.execute("UPDATE t SET n = n + 1", &[]).await?;
            transaction
                .batch_execute("CREATE TEMP TABLE mine (x int) ON COMMIT DROP; INSERT INTO mine VALUES (1)")
                .await?;
            assert_eq!(backend(transaction.query_one("SELECT pg_backend_pid()", &[]).await?), first);
            assert_eq!(transaction.query("SELECT * FROM mine", &[]).await?.len(), 1);
            if (number + round) % 2 == 0 {
                transaction.commit().await?
            } else {
                transaction.rollback().await?
            }
        }
        Ok::<_, tokio_postgres::Error>(())
    };
    run(try_join_all((0..10).map(work))).unwrap();
    assert_eq!(cluster().primary().psql(&database, "SELECT n FROM t").unwrap(), "50");
}

#[test]
fn a_failed_transaction_is_rolled_back_and_savepoints_work() {
    let (database, pooler) = database_behind_pooler("failed", 1);
    run(async {
        let mut client = pooler.connect(&database).await;
        client.batch_execute("CREATE TABLE t (n int UNIQUE)").await.unwrap();
        let mut transaction = client.transaction().await.unwrap();
        transaction.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
        let savepoint = transaction.savepoint("here").await.unwrap();
        assert_eq!(sqlstate(savepoint.execute("INSERT INTO t VALUES (1)", &[]).await), "23505");
        savepoint.rollback().await.unwrap();
        transaction.execute("INSERT INTO t VALUES (2)", &[]).await.unwrap();
        transaction.commit().await.unwrap();
        // Dropped without a word: rolled back.
        let transaction = client.transaction().await.unwrap();
        assert_eq!(sqlstate(transaction.execute("INSERT INTO t VALUES (2)", &[]).await), "23505");
        drop(transaction);
        assert_eq!(client.value("SELECT count(*) FROM t").await.unwrap(), "2");
        assert_eq!(client.value("SELECT pg_current_xact_id_if_assigned() IS NULL").await.unwrap(), "t");
    });
}

/// Each cancel ends the query of its own client, and no other.
#[test]
fn cancel_hits_the_own_query_only() {
    let (database, pooler) = database_behind_pooler("cancel", 3);
    let running = |mark: &str| {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep' \
             AND query LIKE '%{mark}%'"
        );
        cluster().primary().psql("postgres", &sql).unwrap() == "1"
    };
    run(async {
        let (first, second, third) = (
            pooler.connect(&database).await,
            pooler.connect(&database).await,
            pooler.connect(&database).await,
        );
        for round in 0..5 {
            let sleep = |mark: &str| format!("SELECT pg_sleep(600) -- {mark} {round}");
            let (one, two) = (sleep("one"), sleep("two"));
            let bystander = async {
                for number in 0..100 {
                    assert_eq!(third.value(&format!("SELECT {number}")).await.unwrap(), number.to_string());
                }
            };
            let cancel = async {
                eventually("both sleep", async || {
                    running(&format!("one {round}")) && running(&format!("two {round}"))
                })
                .await;
                first.cancel_token().cancel_query(NoTls).await.unwrap();
                eventually("the first is cancelled", async || !running(&format!("one {round}"))).await;
                assert!(running(&format!("two {round}")), "another client's query was cancelled");
                second.cancel_token().cancel_query(NoTls).await.unwrap();
            };
            let (one, two, (), ()) =
                tokio::join!(first.simple_query(&one), second.query(&two, &[]), bystander, cancel);
            assert_eq!((sqlstate(one), sqlstate(two)), ("57014".into(), "57014".into()));
        }
    });
}

/// Cancel requests that come when the query is just over do not hit the next client on the same server.
#[test]
fn a_late_cancel_hits_nobody() {
    let (database, pooler) = database_behind_pooler("late_cancel", 1);
    run(async {
        let (hasty, patient) = (pooler.connect(&database).await, pooler.connect(&database).await);
        let token = hasty.cancel_token();
        let others = async {
            for number in 0..1_000 {
                let sql = format!("SELECT {number} FROM generate_series(1, 2000) LIMIT 1 OFFSET 1999");
                assert_eq!(patient.value(&sql).await.unwrap(), number.to_string());
            }
        };
        let own = async {
            for number in 0..300 {
                let sql = format!("SELECT {number} FROM generate_series(1, 2000) LIMIT 1 OFFSET 1999");
                let (outcome, cancelled) = tokio::join!(hasty.value(&sql), token.cancel_query(NoTls));
                cancelled.unwrap();
                match outcome {
                    Ok(value) => assert_eq!(value, number.to_string()),
                    failed => assert_eq!(sqlstate(failed), "57014"),
                }
            }
        };
        tokio::join!(others, own);
    });
}

#[test]
fn a_query_that_waits_for_a_server_can_be_cancelled() {
    let (database, pooler) = database_behind_pooler("cancel_waiting", 1);
    run(async {
        let (holder, waiter) = (pooler.connect(&database).await, pooler.connect(&database).await);
        let statement = waiter.prepare("SELECT 5").await.unwrap();
        for round in 0..6 {
            holder.batch_execute("BEGIN").await.unwrap();
            let wait = async {
                if round % 2 == 0 {
                    sqlstate(waiter.simple_query("SELECT 1").await)
                } else {
                    sqlstate(waiter.query(&statement, &[]).await)
                }
            };
            let cancel = async {
                until_waiting(&pooler, &database, "1").await;
                waiter.cancel_token().cancel_query(NoTls).await.unwrap();
            };
            let (state, ()) = tokio::join!(wait, cancel);
            assert_eq!(state, "57014");
            assert_eq!(holder.value("SELECT 'mine'").await.unwrap(), "mine");
            holder.batch_execute("COMMIT").await.unwrap();
            assert_eq!(waiter.query_one(&statement, &[]).await.unwrap().get::<_, i32>(0), 5);
        }
    });
}

/// The server has not got the query yet, as it is still taking the client's parameters.
#[test]
fn a_query_whose_server_is_being_prepared_can_be_cancelled() {
    let (database, pooler) = database_behind_pooler("cancel_preparing", 1);
    run(async {
        let (named, nameless, console) =
            (pooler.connect(&database).await, pooler.connect(&database).await, pooler.console().await);
        for round in 0..4 {
            named.batch_execute(&format!("SET application_name = 'round {round}'")).await.unwrap();
            let backend = Pid::from_raw(named.backend().await.parse().unwrap());
            kill(backend, Signal::SIGSTOP).unwrap();
            let _awake = Awake(backend);
            let query = async {
                if round % 2 == 0 {
                    sqlstate(nameless.simple_query("SELECT 1").await)
                } else {
                    sqlstate(nameless.query("SELECT 1", &[]).await)
                }
            };
            let cancel = async {
                eventually("it has the server", async || {
                    let rows = console.rows("SHOW CLIENTS").await.unwrap();
                    rows.iter().any(|row| cell(row, "database") == database && cell(row, "state") == "active")
                })
                .await;
                nameless.cancel_token().cancel_query(NoTls).await.unwrap();
            };
            let (state, ()) = tokio::join!(query, cancel);
            assert_eq!(state, "57014");
            kill(backend, Signal::SIGCONT).unwrap();
            assert_eq!(nameless.value("SHOW application_name").await.unwrap(), "");
            assert_eq!(named.value("SHOW application_name").await.unwrap(), format!("round {round}"));
        }
    });
}

/// Wakes a stopped process, also when the test fails.
struct Awake(Pid);

impl Drop for Awake {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// A cancel request needs the secret of the session, and is then heeded, whoever sends it.
#[test]
fn a_cancel_request_with_a_wrong_key_does_nothing() {
    let (database, pooler) = database_behind_pooler("cancel_key", 1);
    let mut client = RawClient::connect(&pooler, &database);
    let key = client.key();
    let is_asleep = || {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep'"
        );
        cluster().primary().psql("postgres", &sql).unwrap() == "1"
    };
    client.send(|out| encode::query(out, b"SELECT pg_sleep(600)"));
    wait_until("it sleeps", is_asleep);
    let wrong_secret: Vec<u8> = key.secret.iter().map(|byte| byte ^ 1).collect();
    for wrong in [
        CancelKey { process_id: key.process_id, secret: wrong_secret },
        CancelKey { process_id: key.process_id ^ 0x100, secret: key.secret.clone() },
        CancelKey { process_id: 0, secret: vec![0; 4] },
    ] {
        let mut other = RawClient::open(&pooler);
        other.send(|out| startup::encode_cancel(out, &wrong));
        assert_eq!(other.until_ready(), "", "the connection is closed without an answer");
    }
    // A later client has logged in, so the requests before have been looked at.
    let _later = RawClient::connect(&pooler, &database);
    assert!(is_asleep());
    RawClient::open(&pooler).send(|out| startup::encode_cancel(out, &key));
    assert_eq!(client.until_ready(), "TEZ");
    assert!(client.error().starts_with("57014"), "{}", client.error());
}

/// Waits until so many clients of the database wait for a server.
async fn until_waiting(pooler: &Pooler, database: &str, count: &str) {
    let console = pooler.console().await;
    eventually(&format!("{count} clients wait"), async || {
        let rows = console.rows("SHOW POOLS").await.unwrap();
        rows.iter().any(|row| cell(row, "database") == database && cell(row, "cl_waiting") == count)
    })
    .await;
}

/// More clients than servers, all at once: each gets its answer, in the order of arrival.
#[test]
fn waiting_clients_are_served_first_come_first_served() {
    let (database, pooler) = database_behind_pooler("fifo", 1);
    cluster().primary().psql(&database, "CREATE TABLE arrivals (place serial, client int)").unwrap();
    run(async {
        let holder = pooler.connect(&database).await;
        holder.batch_execute("BEGIN").await.unwrap();
        let clients = join_all((0..10).map(|_| pooler.connect(&database))).await;
        let mut waiting = Vec::new();
        for (number, client) in clients.into_iter().enumerate() {
            let insert = async move {
                client.batch_execute(&format!("INSERT INTO arrivals (client) VALUES ({number})")).await
            };
            waiting.push(tokio::spawn(insert));
            until_waiting(&pooler, &database, &(number + 1).to_string()).await;
        }
        holder.batch_execute("COMMIT").await.unwrap();
        for client in waiting {
            client.await.unwrap().unwrap();
        }
        let order =
            holder.value("SELECT string_agg(client::text, ',' ORDER BY place) FROM arrivals").await.unwrap();
        assert_eq!(order, "0,1,2,3,4,5,6,7,8,9");
    });
}

#[test]
fn notices_reach_the_client_that_caused_them() {
    let (database, pooler) = database_behind_pooler("notices", 1);
    run(async {
        let mut clients = join_all((0..3).map(|_| pooler.connect(&database))).await;
        for round in 0..5 {
            let raise = clients.iter().enumerate().map(|(number, client)| {
                let sql = format!("DO $$ BEGIN RAISE NOTICE 'round {round} client {number}'; END $$");
                async move { client.batch_execute(&sql).await }
            });
            try_join_all(raise).await.unwrap();
            for (number, client) in clients.iter_mut().enumerate() {
                let AsyncMessage::Notice(notice) = client.message().await else {
                    panic!("a notice was expected")
                };
                assert_eq!(notice.message(), format!("round {round} client {number}"));
            }
        }
    });
}

#[test]
fn listen_and_notify_in_session_mode() {
    let database = cluster().test_database("listen").unwrap();
    let setup = Setup::new().database(cluster().primary(), &database, "pool_mode=session pool_size=3");
    let pooler = Pooler::start(setup);
    run(async {
        let mut listener = pooler.connect(&database).await;
        listener.batch_execute("LISTEN news").await.unwrap();
        let speaker = pooler.connect(&database).await;
        for number in 0..20 {
            speaker.batch_execute(&format!("NOTIFY news, 'number {number}'")).await.unwrap();
            let AsyncMessage::Notification(heard) = listener.message().await else {
                panic!("a notification")
            };
            assert_eq!((heard.channel(), heard.payload()), ("news", format!("number {number}").as_str()));
        }
        drop(listener);
        // Its server is cleaned before the next client gets it: that one has not asked for news.
        let mut others: Vec<Client> = join_all((0..2).map(|_| pooler.connect(&database))).await;
        for other in &others {
            assert_eq!(other.rows("SELECT pg_listening_channels()").await.unwrap().len(), 0);
        }
        speaker.batch_execute("NOTIFY news, 'nobody'").await.unwrap();
        for other in &mut others {
            other.batch_execute("SELECT 1").await.unwrap();
            assert!(tokio::time::timeout(Duration::ZERO, other.message()).await.is_err());
        }
    });
}
