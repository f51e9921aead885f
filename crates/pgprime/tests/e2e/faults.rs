//! Servers and clients that go away at the worst moment.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::SinkExt;
use futures_util::future::{join_all, try_join_all};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgprime_cluster::{Cluster, ClusterOptions, StopMode};
use pgprime_wire::frontend::encode;

use crate::harness::{
    Client, Pooler, RawClient, Setup, cell, cluster, database_behind_pooler, eventually, run, sqlstate,
    wait_until,
};

/// A value of SHOW POOLS for the database.
async fn pool_figure(console: &Client, database: &str, column: &str) -> u32 {
    let rows = console.rows("SHOW POOLS").await.unwrap();
    let row = rows.iter().find(|row| cell(row, "database") == database);
    row.map_or(0, |row| cell(row, column).parse().unwrap())
}

/// PostgreSQL answers the loss of one backend by restarting all of them: whoever has a transaction learns that it is
/// lost, and whoever has none goes on when PostgreSQL is back.
#[test]
fn a_backend_is_killed_amid_a_query() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let setup =
        Setup::new().database(cluster.primary(), "postgres", "pool_size=2").set("server_login_retry", "15");
    let pooler = Pooler::start(setup);
    let restarts =
        || cluster.primary().log().matches("all server processes terminated; reinitializing").count();
    run(async {
        let console = pooler.console().await;
        let idle = pooler.connect("postgres").await;
        for round in 0..3 {
            let (victim, neighbour) = (pooler.connect("postgres").await, pooler.connect("postgres").await);
            victim.batch_execute("BEGIN").await.unwrap();
            neighbour.batch_execute("BEGIN").await.unwrap();
            let backend: i32 = victim.backend().await.parse().unwrap();
            let kill = async {
                let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
                eventually("it sleeps", async || {
                    cluster.primary().psql("postgres", sleeping).unwrap() == "1"
                })
                .await;
                kill(Pid::from_raw(backend), Signal::SIGKILL).unwrap();
            };
            let (lost, ()) = tokio::join!(victim.simple_query("SELECT pg_sleep(600)"), kill);
            assert!(lost.is_err());
            eventually("the neighbour learns of it", async || {
                neighbour.simple_query("SELECT 1").await.is_err()
            })
            .await;
            eventually("PostgreSQL has restarted", async || restarts() == round + 1).await;
            eventually("PostgreSQL is back", async || cluster.primary().psql("postgres", "SELECT 1").is_ok())
                .await;
            eventually("the dead servers are gone", async || servers(&console, "postgres").await.is_empty())
                .await;
            assert_eq!(idle.value("SELECT 'unharmed'").await.unwrap(), "unharmed");
        }
    });
}

/// The processes of the database's servers, as the pooler sees them.
async fn servers(console: &Client, database: &str) -> Vec<String> {
    let rows = console.rows("SHOW SERVERS").await.unwrap();
    let rows = rows.iter().filter(|row| cell(row, "database") == database);
    rows.map(|row| cell(row, "remote_pid").to_owned()).collect()
}

/// One server that is told to go: its client gets PostgreSQL's own error, all others go on.
#[test]
fn a_backend_is_terminated_amid_a_query() {
    let (database, pooler) = database_behind_pooler("terminated", 2);
    run(async {
        let (console, waiting) = (pooler.console().await, pooler.connect(&database).await);
        let client = pooler.connect(&database).await;
        client.batch_execute("BEGIN").await.unwrap();
        let is_over = AtomicBool::new(false);
        let neighbour = async {
            let mut number = 0;
            while !is_over.load(Ordering::Acquire) {
                assert_eq!(client.value(&format!("SELECT {number}")).await?, number.to_string());
                number += 1;
            }
            client.batch_execute("COMMIT").await
        };
        let victims = async {
            for _ in 0..5 {
                let victim = pooler.connect(&database).await;
                victim.batch_execute("BEGIN").await?;
                let backend = victim.backend().await;
                let end = async {
                    let asleep = format!(
                        "SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND wait_event = 'PgSleep'"
                    );
                    eventually("one sleeps and one waits", async || {
                        cluster().primary().psql("postgres", &asleep).unwrap() == "1"
                            && pool_figure(&console, &database, "cl_waiting").await == 1
                    })
                    .await;
                    cluster()
                        .primary()
                        .psql("postgres", &format!("SELECT pg_terminate_backend({backend})"))
                        .unwrap();
                };
                let (lost, served, ()) = tokio::join!(
                    victim.simple_query("SELECT pg_sleep(600)"),
                    waiting.value("SELECT 'served'"),
                    end
                );
                assert_eq!((sqlstate(lost).as_str(), served?.as_str()), ("57P01", "served"));
            }
            is_over.store(true, Ordering::Release);
            Ok(())
        };
        tokio::try_join!(neighbour, victims).unwrap();
    });
}

/// Idle servers that PostgreSQL closes are replaced; no client notices.
#[test]
fn idle_servers_are_terminated() {
    let (database, pooler) = database_behind_pooler("idle_terminated", 3);
    run(async {
        let console = pooler.console().await;
        let clients = join_all((0..6).map(|_| pooler.connect(&database))).await;
        let statements = clients.iter().map(async |client| client.prepare("SELECT 1").await);
        let statements = try_join_all(statements).await.unwrap();
        for _ in 0..5 {
            let query = clients.iter().zip(&statements).map(async |(client, statement)| {
                client.batch_execute("BEGIN").await?;
                client.query_one(statement, &[]).await?;
                client.batch_execute("COMMIT").await
            });
            try_join_all(query).await.unwrap();
            // Materialized, so that PostgreSQL looks at the name before it ends anything.
            let end = format!(
                "WITH own AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE datname = '{database}') \
                 SELECT pid FROM own WHERE pg_terminate_backend(pid)"
            );
            let ended = cluster().primary().psql("postgres", &end).unwrap();
            assert!(!ended.is_empty());
            eventually("the pooler has seen it", async || {
                servers(&console, &database)
                    .await
                    .iter()
                    .all(|process| !ended.lines().any(|line| line == process))
            })
            .await;
        }
    });
}

#[test]
fn the_database_comes_up_after_the_pooler() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    cluster.primary().stop(StopMode::Fast).unwrap();
    let impatient = Setup::new().database(cluster.primary(), "postgres", "").set("server_login_retry", "1");
    let patient = impatient.clone().set("server_login_retry", "60");
    let hurried = Pooler::start(patient.clone().set("query_wait_timeout", "1"));
    let (impatient, patient) = (Pooler::start(impatient), Pooler::start(patient));
    run(async {
        // One tells the client that nobody is there, the other lets it wait.
        let refused = Client::connect(&impatient.conninfo("postgres")).await;
        assert_eq!(sqlstate(refused), "08001");
        // Whoever has waited for long enough hears the same, and nothing of pools that are too small.
        let given_up = Client::connect(&hurried.conninfo("postgres")).await.err().unwrap();
        let said = given_up.as_db_error().unwrap().message().to_owned();
        assert!(said.contains("login has been failing") && !said.contains("raise"), "{said}");
        let waiting = async {
            let client = patient.connect("postgres").await;
            assert_eq!(client.value("SELECT 'at last'").await.unwrap(), "at last");
        };
        let start = async {
            eventually("it has tried", async || patient.log().contains("server login failed")).await;
            cluster.primary().start().unwrap();
        };
        tokio::join!(waiting, start);
        eventually("clients are let in again", async || {
            Client::connect(&impatient.conninfo("postgres")).await.is_ok()
        })
        .await;

        // A client that was there all the time.
        let client = impatient.connect("postgres").await;
        cluster.primary().stop(StopMode::Fast).unwrap();
        cluster.primary().start().unwrap();
        eventually("the client is served again", async || {
            client.value("SELECT 1").await.is_ok() || client.is_closed()
        })
        .await;
        let client = impatient.connect("postgres").await;
        assert_eq!(client.value("SELECT 2").await.unwrap(), "2");
    });
}

#[test]
fn a_client_vanishes_amid_its_transaction() {
    let (database, pooler) = database_behind_pooler("vanished", 1);
    cluster().primary().psql(&database, "CREATE TABLE t (n int); INSERT INTO t VALUES (0)").unwrap();
    run(async {
        let other = pooler.connect(&database).await;
        for round in 0..5 {
            let victim = pooler.connect(&database).await;
            victim
                .batch_execute("BEGIN; UPDATE t SET n = n + 1000; SET LOCAL search_path = nowhere")
                .await
                .unwrap();
            if round % 2 == 1 {
                assert!(victim.batch_execute("SELECT 1/0").await.is_err());
            }
            victim.vanish().await;
            other.batch_execute("UPDATE t SET n = n + 1").await.unwrap();
            assert_eq!(other.value("SHOW search_path").await.unwrap(), "\"$user\", public");
        }
        assert_eq!(other.value("SELECT n FROM t").await.unwrap(), "5");
    });
}

/// Nobody waits for the result any more: the query is cancelled, and the server serves others.
#[test]
fn a_client_vanishes_while_its_query_runs() {
    let (database, pooler) = database_behind_pooler("abandoned", 1);
    let sleeping = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep'"
    );
    let sleeping = || cluster().primary().psql("postgres", &sleeping).unwrap();
    run(async {
        let other = pooler.connect(&database).await;
        for _ in 0..3 {
            let mut victim = RawClient::connect(&pooler, &database);
            victim.send(|out| encode::query(out, b"SELECT pg_sleep(600)"));
            wait_until("it sleeps", || sleeping() == "1");
            drop(victim);
            assert_eq!(other.value("SELECT 'mine'").await.unwrap(), "mine");
            wait_until("it is cancelled", || sleeping() == "0");
        }
    });
}

/// What a client sends before it vanishes.
type Send<'a> = &'a dyn Fn(&mut Vec<u8>);

#[test]
fn a_client_vanishes_amid_a_message_or_a_result() {
    let (database, pooler) = database_behind_pooler("halved", 1);
    cluster().primary().psql(&database, "CREATE TABLE t (n text)").unwrap();
    let (half_short, half_long) = (half_query(1_000), half_query(10_000_000));
    let copy = |out: &mut Vec<u8>| {
        encode::query(out, b"COPY t FROM STDIN");
        encode::copy_data(out, b"lost\n");
    };
    let large_result =
        |out: &mut Vec<u8>| encode::query(out, b"SELECT repeat('x', 100000) FROM generate_series(1, 1000)");
    let amid_exchange = |out: &mut Vec<u8>| {
        encode::parse(out, b"s", b"INSERT INTO t VALUES ('lost')", &[]);
        encode::bind_text(out, b"", b"s", &[]);
        encode::execute(out, b"", 0);
        encode::flush(out);
    };
    run(async {
        let other = pooler.connect(&database).await;
        let statement = other.prepare("SELECT count(*)::int FROM t").await.unwrap();
        for _ in 0..3 {
            let sends: [Send; 5] = [
                &|out| out.extend_from_slice(&half_short),
                &|out| out.extend_from_slice(&half_long),
                &copy,
                &large_result,
                &amid_exchange,
            ];
            for send in sends {
                let mut victim = RawClient::connect(&pooler, &database);
                victim.send(send);
                drop(victim);
                assert_eq!(other.query_one(&statement, &[]).await.unwrap().get::<_, i32>(0), 0);
            }
        }
    });
}

/// A query of so many bytes, of which half is there.
fn half_query(len: usize) -> Vec<u8> {
    let mut message = Vec::new();
    encode::query(&mut message, &[b"SELECT '", "x".repeat(len).as_bytes(), b"'"].concat());
    message.truncate(message.len() / 2);
    message
}

/// COPY that is broken off by a terminated server ends in an error, not in silence.
#[test]
fn a_server_goes_amid_copy_in() {
    let (database, pooler) = database_behind_pooler("copy_lost", 1);
    cluster().primary().psql(&database, "CREATE TABLE t (n int)").unwrap();
    run(async {
        let client = pooler.connect(&database).await;
        let backend = client.backend().await;
        let mut sink = Box::pin(client.copy_in::<_, &[u8]>("COPY t FROM STDIN").await.unwrap());
        sink.send(b"1\n").await.unwrap();
        cluster().primary().psql("postgres", &format!("SELECT pg_terminate_backend({backend})")).unwrap();
        let outcome = async {
            loop {
                sink.send(b"2\n").await?;
                tokio::task::yield_now().await;
            }
        };
        let failed: Result<(), tokio_postgres::Error> = outcome.await;
        assert!(failed.is_err());
        let other = pooler.connect(&database).await;
        assert_eq!(other.value("SELECT count(*) FROM t").await.unwrap(), "0");
    });
}
