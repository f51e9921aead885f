//! Writes through the library are said to the cache, whichever way they go.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use pgprime_client::{
    CachedSource, Database, DatabaseConfig, Error, Freshness, PooledConnection, Transaction, WriteReport,
};

use crate::cached::config;
use crate::support::{
    Cut, Place, Proxy, Redis, Trigger, at_rest, connect, is_up, main_pool, place, run, until,
};

const SUM: &str = "SELECT sum(n)::bigint FROM items";
const ADD: &str = "UPDATE items SET n = n + 1 WHERE id = 1";

async fn sum(database: &Database) -> (i64, CachedSource) {
    let rows = database.cached(SUM, &[]).await.unwrap();
    assert_eq!(rows.not_kept(), None);
    (rows.row(0).unwrap().get(0), rows.source())
}

/// Reads until it is served from memory, and says what.
async fn kept(database: &Database) -> i64 {
    sum(database).await;
    let (value, source) = sum(database).await;
    assert_eq!(source, CachedSource::Memory);
    value
}

fn said(database: &Database) -> WriteReport {
    database.report().writes.unwrap()
}

fn with_items() -> Place {
    let place = place();
    place.psql(
        "INSERT INTO items VALUES (1, '', 0), (2, '', 0); \
         CREATE PROCEDURE add_and_commit() LANGUAGE plpgsql AS $$ BEGIN \
         UPDATE items SET n = n + 1 WHERE id = 1; COMMIT; UPDATE marks SET key = key; END $$; \
         CREATE FUNCTION add_one() RETURNS int LANGUAGE sql VOLATILE AS \
         'UPDATE items SET n = n + 1 WHERE id = 1 RETURNING n'; \
         CREATE FUNCTION add_by_text() RETURNS void LANGUAGE plpgsql AS \
         $$ BEGIN EXECUTE 'UPDATE ' || 'items' || ' SET n = n + 1 WHERE id = 1'; END $$;",
    );
    place
}

type Done<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;
type Way = for<'a> fn(&'a Database) -> Done<'a>;

async fn connection(database: &Database) -> Result<PooledConnection, Error> {
    database.main().acquire().await
}

/// Each adds one.
const WAYS: &[(&str, Way)] = &[
    ("a statement", |database| Box::pin(async { database.main().execute(ADD, &[]).await.map(drop) })),
    ("rows of a statement that writes", |database| {
        Box::pin(async { database.main().query(&format!("{ADD} RETURNING n"), &[]).await.map(drop) })
    }),
    ("one row of a statement that writes", |database| {
        Box::pin(async {
            let sql = format!("WITH changed AS ({ADD} RETURNING n) SELECT n FROM changed");
            database.admin().query_one(&sql, &[]).await.map(drop)
        })
    }),
    ("a stream of rows", |database| {
        Box::pin(async {
            let main = database.main();
            let mut rows = main.query_stream("UPDATE items SET n = n + id % 2 RETURNING n", &[]).await?;
            while rows.next().await?.is_some() {}
            Ok(())
        })
    }),
    ("a batch", |database| {
        Box::pin(async {
            let sql = "UPDATE items SET n = n + $1 WHERE id = 1";
            database.main().batch(sql, &[vec![&1_i32], vec![&0_i32]]).await.map(drop)
        })
    }),
    ("a transaction", |database| {
        Box::pin(async {
            let add = |transaction: Transaction| async move { transaction.execute(ADD, &[]).await.map(drop) };
            database.main().transaction(add).await
        })
    }),
    ("a session", |database| {
        Box::pin(async { database.session(Freshness::Avoid).execute(ADD, &[]).await.map(drop) })
    }),
    ("a connection of one's own", |database| {
        Box::pin(async { connection(database).await?.execute(ADD, &[]).await.map(drop) })
    }),
    ("a batch on a connection", |database| {
        Box::pin(async {
            let sql = "UPDATE items SET n = n + $1 WHERE id = 1";
            connection(database).await?.batch(sql, &[vec![&0_i32], vec![&1_i32]]).await.map(drop)
        })
    }),
    ("a text of several statements", |database| {
        Box::pin(async {
            let text = format!("DELETE FROM marks; {ADD}; SELECT 1");
            connection(database).await?.batch_execute(&text).await
        })
    }),
    ("a text with a transaction in it", |database| {
        Box::pin(async { connection(database).await?.batch_execute(&format!("BEGIN; {ADD}; COMMIT")).await })
    }),
    ("a transaction by texts", |database| {
        Box::pin(async {
            let connection = connection(database).await?;
            connection.batch_execute("BEGIN").await?;
            connection.execute(ADD, &[]).await?;
            // What is not committed yet may be kept, by whoever does not see it.
            let before = kept(database).await;
            connection.execute("COMMIT", &[]).await?;
            assert_eq!(sum(database).await.0, before + 1);
            Ok(())
        })
    }),
    ("a procedure that commits", |database| {
        Box::pin(async { connection(database).await?.execute("CALL add_and_commit()", &[]).await.map(drop) })
    }),
    ("a function that writes", |database| {
        Box::pin(async { database.main().query("SELECT add_one()", &[]).await.map(drop) })
    }),
    ("a function that nobody can look into", |database| {
        Box::pin(async { database.main().query("SELECT add_by_text()", &[]).await.map(drop) })
    }),
    ("a statement after another search path was set", |database| {
        Box::pin(async {
            let connection = connection(database).await?;
            connection.batch_execute("CREATE SCHEMA IF NOT EXISTS elsewhere").await?;
            connection.batch_execute("SET search_path = elsewhere, public").await?;
            connection.execute(ADD, &[]).await.map(drop)
        })
    }),
    ("definitions", |database| {
        Box::pin(async {
            let text = "ALTER TABLE items ALTER n TYPE int USING n + (id % 2)::int";
            database.main().execute(text, &[]).await.map(drop)
        })
    }),
];

#[test]
fn after_a_write_of_any_kind_nothing_older_is_served() {
    run(async {
        let place = with_items();
        let database = connect(config(&place)).await;
        for (way, write) in WAYS {
            let before = kept(&database).await;
            write(&database).await.unwrap();
            let (after, _) = sum(&database).await;
            assert_eq!(after, before + 1, "{way}");
            at_rest(&database).await;
        }
    });
}

#[test]
fn what_is_rolled_back_leaves_what_was_kept() {
    run(async {
        let place = with_items();
        let database = connect(config(&place)).await;
        let main = database.main();
        let before = kept(&database).await;
        let undone: Result<(), Error> = main
            .transaction(|transaction| async move {
                transaction.execute(ADD, &[]).await?;
                Err(Error::Usage("no".to_owned()))
            })
            .await;
        undone.unwrap_err();
        main.execute("INSERT INTO items VALUES (1)", &[]).await.unwrap_err();
        main.execute("INSERT INTO items VALUES ($1)", &[&"text"]).await.unwrap_err();
        let connection = main.acquire().await.unwrap();
        connection.batch_execute(&format!("{ADD}; SELECT 1 / 0")).await.unwrap_err();
        drop(connection);
        assert_eq!(sum(&database).await, (before, CachedSource::Memory));
        let said = said(&database);
        assert_eq!(
            (said.announced_total, said.rolled_back_total, said.anything_total),
            (3, 3, 0),
            "{said:?}"
        );
    });
}

#[test]
fn who_only_reads_says_nothing() {
    run(async {
        let place = with_items();
        let database = connect(config(&place)).await;
        for _ in 0..3 {
            database.main().query(SUM, &[]).await.unwrap();
            database.read().query(SUM, &[]).await.unwrap();
            database.admin().query("SELECT now(), random(), nextval('numbers')", &[]).await.unwrap();
            // Refused, since the role only reads.
            database.read().query(&format!("{ADD} RETURNING n"), &[]).await.unwrap_err();
        }
        let mut report = said(&database);
        assert!(report.announced_total <= 3, "a refused write at most: {report:?}");
        report.announced_total = 0;
        report.rolled_back_total = 0;
        assert_eq!(report, WriteReport::default());
    });
}

#[test]
fn a_write_whose_caller_gives_up_counts_when_the_connection_is_quiet() {
    run(async {
        let place = with_items();
        let database = connect(config(&place)).await;
        let before = kept(&database).await;
        let mut holder = database.main().acquire().await.unwrap();
        holder.batch_execute("BEGIN; SELECT FROM items WHERE id = 1 FOR UPDATE").await.unwrap();
        {
            let main = database.main();
            let write = main.execute(ADD, &[]);
            let mut write = std::pin::pin!(write);
            tokio::select! {
                _ = &mut write => panic!("the row is locked"),
                () = until("it waits for the row", || place.sessions("wait_event_type = 'Lock'") == 1) => {}
            }
            // While it may still be carried out, nobody may keep what he reads.
            assert_eq!(sum(&database).await.1, CachedSource::Filled);
            assert_eq!(sum(&database).await.1, CachedSource::Filled);
        }
        until("the statement has been cancelled", || place.sessions("wait_event_type = 'Lock'") == 0).await;
        holder.batch_execute("ROLLBACK").await.unwrap();
        holder.discard();
        until("it is clean", || main_pool(&database).cleaned_total == 1).await;
        at_rest(&database).await;
        assert_eq!(kept(&database).await, before);

        // A transaction that is given up is certain to be rolled back: what was kept stays.
        holder = database.main().acquire().await.unwrap();
        let announced = said(&database).announced_total;
        {
            let main = database.main();
            let work = main.transaction(|transaction| async move {
                transaction.execute(ADD, &[]).await?;
                std::future::pending::<()>().await;
                Ok::<(), Error>(())
            });
            let mut work = std::pin::pin!(work);
            tokio::select! {
                _ = &mut work => unreachable!(),
                () = until("it waits", || place.sessions("state = 'idle in transaction'") == 1) => {}
            }
        }
        drop(holder);
        at_rest(&database).await;
        assert_eq!(sum(&database).await, (before, CachedSource::Memory));
        assert_eq!(said(&database).announced_total, announced);
    });
}

#[test]
fn while_nobody_knows_whether_it_was_committed_nothing_is_served() {
    run(async {
        let place = with_items();
        let proxy = Proxy::start(place.primary().port()).await;
        let database = connect(DatabaseConfig { url: place.url(proxy.port()), ..config(&place) }).await;
        let before = kept(&database).await;
        proxy.cut(Trigger::Query("COMMIT"), Cut::After, 1);
        let add = |transaction: Transaction| async move { transaction.execute(ADD, &[]).await.map(drop) };
        let outcome: Result<(), Error> = database.main().transaction(add).await;
        assert!(matches!(outcome, Err(Error::CommitUncertain { .. })), "{outcome:?}");
        for _ in 0..3 {
            assert_eq!(sum(&database).await, (before + 1, CachedSource::Filled));
        }
        until("it is said", || said(&database).unknown_total == 1).await;
        assert_eq!(sum(&database).await, (before + 1, CachedSource::Filled));
        // Other tables have nothing to do with it.
        for source in [CachedSource::Filled, CachedSource::Memory] {
            assert_eq!(database.cached("SELECT FROM marks", &[]).await.unwrap().source(), source);
        }

        // A statement by itself whose answer is lost.
        proxy.cut(Trigger::Execute, Cut::After, 1);
        database.main().execute("INSERT INTO marks VALUES ('x')", &[]).await.unwrap_err();
        for _ in 0..2 {
            let rows = database.cached("SELECT FROM marks", &[]).await.unwrap();
            assert_eq!((rows.len(), rows.source()), (1, CachedSource::Filled));
        }
    });
}

#[test]
fn what_is_done_with_the_drivers_client_gives_up_everything() {
    run(async {
        let place = with_items();
        let database = connect(config(&place)).await;
        let before = kept(&database).await;
        let connection = database.main().acquire().await.unwrap();
        connection.client().batch_execute(ADD).await.unwrap();
        drop(connection);
        until("it is said", || said(&database).unseen_total == 1).await;
        at_rest(&database).await;
        assert_eq!(kept(&database).await, before + 1);

        // Closed instead: what still runs there nobody knows.
        let connection = database.main().acquire().await.unwrap();
        connection.client().batch_execute(ADD).await.unwrap();
        connection.discard();
        until("it is said", || said(&database).unknown_total == 1).await;
        assert_eq!(sum(&database).await, (before + 2, CachedSource::Filled));
    });
}

#[test]
fn a_transaction_that_has_written_reads_for_itself() {
    run(async {
        let place = with_items();
        let database = connect(config(&place)).await;
        let before = kept(&database).await;
        let shared = &database;
        let work = |transaction: Transaction| async move {
            let read = |transaction: Transaction| async move {
                let rows = shared.cached(SUM, &[]).fetch_in(&transaction).await?;
                Ok::<_, Error>((rows.row(0).unwrap().get::<_, i64>(0), rows.source()))
            };
            assert_eq!(read(transaction.clone()).await?, (before, CachedSource::Memory));
            transaction.execute(ADD, &[]).await?;
            assert_eq!(read(transaction.clone()).await?, (before + 1, CachedSource::NotKept));
            assert_eq!(sum(shared).await, (before, CachedSource::Memory), "it is not committed");
            Ok::<(), Error>(())
        };
        database.main().transaction(work).await.unwrap();
        assert_eq!(kept(&database).await, before + 1);
    });
}

#[test]
fn a_statement_left_behind_by_its_transaction_is_said_as_well() {
    run(async {
        let place = with_items();
        let database = connect(DatabaseConfig { pool_max: Some(2), ..config(&place) }).await;
        // Announced for a COMMIT that has been sent before it: it commits by itself, if it gets so far.
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let sender = std::sync::Mutex::new(Some(sender));
        let work = |transaction: Transaction| {
            let left = tokio::spawn(async move { transaction.execute(ADD, &[]).await });
            let _ = sender.lock().unwrap().take().unwrap().send(left);
            async { Ok::<(), Error>(()) }
        };
        database.main().transaction(work).await.unwrap();
        // Refused, in time, or late: whatever it was, what is read from now on is true.
        let _ = receiver.await.unwrap().await.unwrap();
        let truth = place.psql("SELECT sum(n) FROM items");
        assert_eq!(sum(&database).await.0.to_string(), truth);
    });
}

#[test]
fn requests_keep_their_order_although_writes_are_announced_first() {
    run(async {
        let (place, redis) = (with_items(), Redis::start());
        let database = connect(DatabaseConfig { cache: Some(redis.config()), ..place.config() }).await;
        let connection = database.main().acquire().await.unwrap();
        let read = "SELECT n FROM items WHERE id = 1";
        // Prepared, so that each is sent as soon as it may be.
        connection.query(read, &[]).await.unwrap();
        connection.execute(ADD, &[]).await.unwrap();
        for number in 2..50 {
            let (written, rows) = tokio::join!(connection.execute(ADD, &[]), connection.query(read, &[]));
            written.unwrap();
            assert_eq!(rows.unwrap()[0].get::<_, i32>(0), number);
        }
    });
}

#[test]
fn without_redis_writes_go_on_and_are_counted() {
    run(async {
        let (place, mut redis) = (with_items(), Redis::start());
        let with_redis = || DatabaseConfig { cache: Some(redis.config()), ..place.config() };
        let (one, other) = (connect(with_redis()).await, connect(with_redis()).await);
        let before = kept(&one).await;
        sum(&other).await;
        redis.kill();
        one.main().execute(ADD, &[]).await.unwrap();
        assert_eq!(sum(&one).await, (before + 1, CachedSource::Filled));
        assert_eq!(said(&one).here_only_total, 1);
        redis.run();
        until("both use Redis again", || is_up(&one) && is_up(&other)).await;
        assert_eq!(sum(&other).await.0, before + 1);
        tokio::time::timeout(Duration::from_secs(60), one.close()).await.unwrap();
    });
}

#[test]
fn a_trigger_that_comes_while_a_write_waits_is_not_forgotten() {
    run(async {
        let place = with_items();
        place.psql(
            "CREATE TABLE copies (n int); CREATE FUNCTION copy_n() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO copies VALUES (NEW.n); RETURN NULL; END $$;",
        );
        let database = connect(config(&place)).await;
        let count = async || {
            let rows = database.cached("SELECT count(*) FROM copies", &[]).await.unwrap();
            (rows.row(0).unwrap().get::<_, i64>(0), rows.source())
        };
        let definer = connection(&database).await.unwrap();
        let trigger = "CREATE TRIGGER c AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION copy_n()";
        definer.batch_execute(&format!("BEGIN; {trigger}")).await.unwrap();
        // While definitions are read again, whoever writes may write anything.
        until_kept(async || count().await.1).await;
        let writer = database.clone();
        // Announced by the definitions of now, and carried out by those to come.
        let write = tokio::spawn(async move { writer.main().execute(ADD, &[]).await });
        until("it waits for the table", || place.sessions("wait_event_type = 'Lock'") == 1).await;
        let blocker = connection(&database).await.unwrap();
        blocker.batch_execute("BEGIN; LOCK TABLE copies IN EXCLUSIVE MODE").await.unwrap();
        definer.batch_execute("COMMIT").await.unwrap();
        until("it waits for the other table", || place.sessions("wait_event_type = 'Lock'") == 1).await;
        // Kept by whoever reads before it is committed.
        until_kept(async || count().await.1).await;
        assert_eq!(count().await, (0, CachedSource::Memory));
        blocker.batch_execute("ROLLBACK").await.unwrap();
        write.await.unwrap().unwrap();
        assert_eq!(count().await.0, 1);
    });
}

async fn until_kept(source: impl AsyncFn() -> CachedSource) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while source().await != CachedSource::Memory {
        assert!(std::time::Instant::now() < deadline, "waited in vain until it is kept");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
