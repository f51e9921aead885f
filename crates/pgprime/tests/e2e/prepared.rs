//! Prepared statements of tokio-postgres and sqlx over servers that change.

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt};
use pgprime_wire::frontend::encode;
use sqlx::{Connection as _, Row as _};
use tokio_postgres::types::Type;

use crate::harness::{Pooler, RawClient, Setup, cluster, column, database_behind_pooler, run, sqlstate};

const CLIENTS: i32 = 20;

#[test]
fn twenty_clients_keep_their_statements_on_two_servers() {
    let (database, pooler) = database_behind_pooler("prepared", 2);
    let client = async |number: i32| {
        let client = pooler.connect(&database).await;
        // The same text for all, and one of each client's own.
        let shared = client.prepare("SELECT $1::int4 * 2, pg_backend_pid()").await?;
        let own = client.prepare(&format!("SELECT {number}, $1::text || '/{number}'")).await?;
        let mut backends = Vec::new();
        for round in 0..50 {
            let row = client.query_one(&shared, &[&(number + round)]).await?;
            assert_eq!(row.get::<_, i32>(0), 2 * (number + round));
            backends.push(row.get::<_, i32>(1));
            let row = client.query_one(&own, &[&round.to_string()]).await?;
            assert_eq!((row.get(0), row.get(1)), (number, format!("{round}/{number}")));
        }
        backends.sort_unstable();
        backends.dedup();
        Ok::<_, tokio_postgres::Error>(backends)
    };
    let backends = run(try_join_all((0..CLIENTS).map(client))).unwrap().concat();
    let distinct: std::collections::BTreeSet<i32> = backends.into_iter().collect();
    assert_eq!(distinct.len(), 2, "both servers, and no others, have worked");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (database, pooler) = database_behind_pooler("pipelined", 2);
    run(async {
        let clients = (0..5).map(async |offset: i32| {
            let client = pooler.connect(&database).await;
            let add = client.prepare("SELECT $1::int4 + $2::int4").await?;
            let other = client.prepare_typed("SELECT $1 || 'x'", &[Type::TEXT]).await?;
            for round in 0..10 {
                let sums = (0..40).map(async |number: i32| {
                    if number % 4 == 3 {
                        let text = client.query_one(&other, &[&number.to_string()]).await?;
                        assert_eq!(text.get::<_, String>(0), format!("{number}x"));
                        return Ok(number);
                    }
                    Ok::<_, tokio_postgres::Error>(
                        client.query_one(&add, &[&number, &offset]).await?.get::<_, i32>(0),
                    )
                });
                let sums = try_join_all(sums).await?;
                let expected = |number: i32| if number % 4 == 3 { number } else { number + offset };
                assert_eq!(sums, (0..40).map(expected).collect::<Vec<_>>(), "round {round}");
            }
            Ok::<_, tokio_postgres::Error>(())
        });
        try_join_all(clients).await.unwrap();
    });
}

#[test]
fn an_error_among_pipelined_requests_hits_its_own_only() {
    let (database, pooler) = database_behind_pooler("pipeline_errors", 2);
    run(async {
        let client = pooler.connect(&database).await;
        let divide = client.prepare("SELECT 12 / $1::int4").await.unwrap();
        for _ in 0..20 {
            let outcomes = [3, 0, 4, 0, 6].map(|divisor| {
                let (client, divide) = (&client, &divide);
                async move { client.query_one(divide, &[&divisor]).await.map(|row| row.get::<_, i32>(0)) }
            });
            let outcomes = futures_util::future::join_all(outcomes).await;
            let seen: Vec<String> = outcomes
                .into_iter()
                .map(|outcome| if let Ok(value) = outcome { value.to_string() } else { sqlstate(outcome) })
                .collect();
            assert_eq!(seen, ["4", "22012", "3", "22012", "2"]);
        }
    });
}

#[test]
fn rows_stream_through_portals() {
    let (database, pooler) = database_behind_pooler("portals", 1);
    run(async {
        let mut client = pooler.connect(&database).await;
        let stream =
            client.query_raw("SELECT * FROM generate_series(1, $1::int4)", [100_000_i32]).await.unwrap();
        let sum =
            stream.try_fold(0_i64, async |sum, row| Ok(sum + i64::from(row.get::<_, i32>(0)))).await.unwrap();
        assert_eq!(sum, 5_000_050_000);

        let other = pooler.connect(&database).await;
        let transaction = client.transaction().await.unwrap();
        let portal = transaction.bind("SELECT generate_series(1, 25)", &[]).await.unwrap();
        let mut seen: Vec<i32> = Vec::new();
        for size in [10, 10, 10] {
            seen.extend(column::<i32>(&transaction.query_portal(&portal, size).await.unwrap()));
        }
        assert_eq!(seen, (1..=25).collect::<Vec<_>>());
        transaction.commit().await.unwrap();
        assert_eq!(other.value("SELECT 1").await.unwrap(), "1");

        // A stream that nobody reads to its end: the rest is thrown away, the connection goes on.
        for _ in 0..5 {
            let stream =
                client.query_raw("SELECT repeat('x', 1000) FROM generate_series(1, $1::int4)", [20_000_i32]);
            let mut stream = Box::pin(stream.await.unwrap());
            assert_eq!(stream.next().await.unwrap().unwrap().get::<_, String>(0).len(), 1000);
            drop(stream);
            assert_eq!(client.value("SELECT 'next'").await.unwrap(), "next");
        }
    });
}

/// A change of the table gives `SELECT *` another shape. This driver relies on the description it got when it
/// prepared the statement, so it must be told; from then on it can prepare the statement anew.
#[test]
fn a_changed_result_type_is_an_error_for_a_client_that_remembers_the_old_one() {
    let (database, pooler) = database_behind_pooler("reshaped", 1);
    let direct = |sql: &str| cluster().primary().psql(&database, sql).unwrap();
    direct("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    run(async {
        let (client, other) = (pooler.connect(&database).await, pooler.connect(&database).await);
        let others = other.prepare("SELECT 5").await.unwrap();
        for change in ["ADD b int DEFAULT 7", "ALTER a TYPE bigint", "ALTER a TYPE int", "DROP b"] {
            let statement = client.prepare("SELECT * FROM t").await.unwrap();
            assert_eq!(client.query(&statement, &[]).await.unwrap().len(), 1);
            direct(&format!("ALTER TABLE t {change}"));
            assert_eq!(sqlstate(client.query(&statement, &[]).await), "0A000", "after {change}");
            let again = client.prepare("SELECT a::int, * FROM t").await.unwrap();
            assert_eq!(column_of_first(&client.query(&again, &[]).await.unwrap()), 1);
            let again = client.prepare("SELECT * FROM t").await.unwrap();
            assert_eq!(client.query(&again, &[]).await.unwrap().len(), 1);
            assert_eq!(column_of_first(&other.query(&others, &[]).await.unwrap()), 5);
        }
    });
}

/// One that asks for the description with every execution gets the new one, and sees nothing else of the change.
#[test]
fn a_changed_result_type_is_healed_for_a_client_that_asks_for_it() {
    let (database, pooler) = database_behind_pooler("healed", 2);
    let direct = |sql: &str| cluster().primary().psql(&database, sql).unwrap();
    direct("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let mut clients: Vec<RawClient> = (0..6).map(|_| RawClient::connect(&pooler, &database)).collect();
    for client in &mut clients {
        client.send(|out| {
            encode::parse(out, b"s", b"SELECT * FROM t", &[]);
            encode::sync(out);
        });
        assert_eq!(client.until_ready(), "1Z");
    }
    for columns in 1..=4 {
        if columns > 1 {
            direct(&format!("ALTER TABLE t ADD b{columns} int DEFAULT {columns}"));
        }
        // Several times over: healed at first, then from the statement that was prepared anew.
        for turn in 0..3 {
            for client in &mut clients {
                client.send(|out| {
                    encode::bind_text(out, b"", b"s", &[]);
                    encode::describe_portal(out, b"");
                    encode::execute(out, b"", 0);
                    encode::sync(out);
                });
                assert_eq!(
                    client.until_ready(),
                    "2TDCZ",
                    "{columns} columns, turn {turn}: {}",
                    client.error()
                );
                for tag in *b"TD" {
                    assert_eq!(
                        client.body(tag).unwrap()[..2],
                        [0, columns],
                        "{columns} columns, turn {turn}"
                    );
                }
            }
        }
        // The description of a statement is healed as well.
        clients[0].send(|out| {
            encode::describe_statement(out, b"s");
            encode::sync(out);
        });
        assert_eq!(clients[0].until_ready(), "tTZ");
        assert_eq!(clients[0].body(b'T').unwrap()[..2], [0, columns]);
    }
}

fn column_of_first(rows: &[tokio_postgres::Row]) -> i32 {
    assert_eq!(rows.len(), 1);
    rows[0].get(0)
}

#[test]
fn a_changed_result_type_is_an_error_inside_a_transaction() {
    let (database, pooler) = database_behind_pooler("unhealed", 1);
    let direct = |sql: &str| cluster().primary().psql(&database, sql).unwrap();
    direct("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    run(async {
        let client = pooler.connect(&database).await;
        let other = pooler.connect(&database).await;
        let mut statement = client.prepare("SELECT * FROM t").await.unwrap();
        let others = other.prepare("SELECT 5").await.unwrap();
        assert_eq!(client.query(&statement, &[]).await.unwrap().len(), 1);
        assert_eq!(column_of_first(&other.query(&others, &[]).await.unwrap()), 5);
        for round in 0..3 {
            client.batch_execute("BEGIN").await.unwrap();
            direct(&format!("ALTER TABLE t ADD b{round} int"));
            assert_eq!(sqlstate(client.query(&statement, &[]).await), "0A000");
            assert_eq!(sqlstate(client.query(&statement, &[]).await), "25P02");
            client.batch_execute("ROLLBACK").await.unwrap();
            // Prepared anew it works, inside and outside a transaction, and those of others do all the time.
            statement = client.prepare("SELECT * FROM t").await.unwrap();
            client.batch_execute("BEGIN").await.unwrap();
            assert_eq!(column_of_first(&client.query(&statement, &[]).await.unwrap()), 1);
            client.batch_execute("COMMIT").await.unwrap();
            assert_eq!(column_of_first(&client.query(&statement, &[]).await.unwrap()), 1);
            assert_eq!(column_of_first(&other.query(&others, &[]).await.unwrap()), 5);
        }
    });
}

#[test]
fn closed_and_deallocated_statements() {
    let (database, pooler) = database_behind_pooler("closed", 1);
    run(async {
        let (client, other) = (pooler.connect(&database).await, pooler.connect(&database).await);
        let kept = other.prepare("SELECT 1, 'shared'").await.unwrap();
        for round in 0..30 {
            let statement = client.prepare("SELECT 1, 'shared'").await.unwrap();
            assert_eq!(column_of_first(&client.query(&statement, &[]).await.unwrap()), 1);
            drop(statement);
            assert_eq!(column_of_first(&other.query(&kept, &[]).await.unwrap()), 1, "round {round}");
        }
        // DEALLOCATE ALL and DISCARD ALL empty a server of which another client has statements.
        for sql in ["DEALLOCATE ALL", "DISCARD ALL", "SELECT 1; DEALLOCATE ALL", "DISCARD PLANS"] {
            client.batch_execute(sql).await.unwrap();
            assert_eq!(column_of_first(&other.query(&kept, &[]).await.unwrap()), 1, "after {sql}");
        }
        let statement = client.prepare("SELECT 2").await.unwrap();
        client.batch_execute("DEALLOCATE ALL").await.unwrap();
        assert_eq!(sqlstate(client.query(&statement, &[]).await), "26000");
        let again = client.prepare("SELECT 2").await.unwrap();
        assert_eq!(column_of_first(&client.query(&again, &[]).await.unwrap()), 2);
        assert_eq!(sqlstate(client.batch_execute("DEALLOCATE no_such_statement").await), "26000");
        assert_eq!(sqlstate(client.prepare("SELECT no_such_column").await), "42703");
        assert_eq!(client.value("SELECT 3").await.unwrap(), "3");
    });
}

/// More texts than a server may keep: the least used ones are closed there and prepared anew when needed.
#[test]
fn more_statements_than_a_server_keeps() {
    let database = cluster().test_database("evicted").unwrap();
    let setup = Setup::new().database(cluster().primary(), &database, "pool_size=2");
    let pooler = Pooler::start(setup.set("max_prepared_statements", "5"));
    let client = async |offset: i32| {
        let client = pooler.connect(&database).await;
        let client = &client;
        let prepare = async |number: i32| client.prepare(&format!("SELECT {number} + $1::int4")).await;
        let statements = try_join_all((0..20).map(prepare)).await?;
        for round in 0..10 {
            let queries =
                statements.iter().map(async |statement| client.query_one(statement, &[&offset]).await);
            let rows = try_join_all(queries).await?;
            let sums: Vec<i32> = column(&rows);
            assert_eq!(sums, (offset..offset + 20).collect::<Vec<_>>(), "round {round}");
        }
        let kept = client.value("SELECT count(*) FROM pg_prepared_statements").await?;
        assert!(kept.parse::<u32>().unwrap() <= 5, "{kept} statements on one server");
        Ok::<_, tokio_postgres::Error>(())
    };
    run(try_join_all((0..6).map(client))).unwrap();
}

#[test]
fn an_sqlx_pool_with_many_tasks() {
    let database = cluster().test_database("sqlx").unwrap();
    // This driver asks for extra_float_digits at its login.
    let setup = Setup::new().set("ignore_startup_parameters", "extra_float_digits");
    let pooler = Pooler::start(setup.database(cluster().primary(), &database, "pool_size=3"));
    cluster()
        .primary()
        .psql(
            &database,
            "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL); \
         INSERT INTO t SELECT g, 0 FROM generate_series(0, 4) g",
        )
        .unwrap();
    run(async {
        let options = sqlx::postgres::PgPoolOptions::new().max_connections(15);
        let pool = options.connect(&pooler.url(&database)).await.unwrap();
        let tasks = (0..40).map(async |task: i32| {
            for round in 0..10 {
                let row =
                    sqlx::query("SELECT $1 + $2, array_agg(id ORDER BY id) FROM t").bind(task).bind(round);
                let row = row.fetch_one(&pool).await?;
                assert_eq!(
                    (row.get::<i32, _>(0), row.get::<Vec<i32>, _>(1)),
                    (task + round, vec![0, 1, 2, 3, 4])
                );
                let mut transaction = pool.begin().await?;
                let add = sqlx::query("UPDATE t SET n = n + 1 WHERE id = $1").bind(task % 5);
                assert_eq!(add.execute(&mut *transaction).await?.rows_affected(), 1);
                if round % 2 == 0 { transaction.commit().await? } else { transaction.rollback().await? }
            }
            let failed = sqlx::query("SELECT 1 / $1").bind(0).fetch_one(&pool).await.unwrap_err();
            assert_eq!(failed.into_database_error().unwrap().code().unwrap(), "22012");
            Ok::<_, sqlx::Error>(())
        });
        try_join_all(tasks).await.unwrap();
        let (sum,): (i64,) = sqlx::query_as("SELECT sum(n) FROM t").fetch_one(&pool).await.unwrap();
        assert_eq!(sum, 200);
        let mut connection = sqlx::PgConnection::connect(&pooler.url(&database)).await.unwrap();
        connection.ping().await.unwrap();
        connection.close().await.unwrap();
        pool.close().await;
    });
}
