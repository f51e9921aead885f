//! Large results, row by row.

use pgprime_client::{Database, Error};

use crate::support::{at_rest, connect, place, run, sqlstate, until, value};

const MILLION: &str = "SELECT i, repeat('x', 200) FROM generate_series(1, 1000000) i";

#[test]
fn a_million_rows_wait_in_the_server_and_not_in_memory() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let main = database.main();
        let mut rows = main.query_stream(MILLION, &[]).await.unwrap();
        let first = rows.next().await.unwrap().unwrap();
        assert_eq!(first.get::<_, i32>(0), 1);
        // Nobody reads: the server cannot send on.
        until("the server waits for us", || place.sessions("wait_event = 'ClientWrite'") == 1).await;
        let (mut count, mut sum) = (1_u64, 1_u64);
        while let Some(row) = rows.next().await.unwrap() {
            count += 1;
            sum += u64::try_from(row.get::<_, i32>(0)).unwrap();
        }
        assert_eq!((count, sum), (1_000_000, 500_000_500_000));
        assert!(rows.next().await.unwrap().is_none());
        let pool = at_rest(&database).await;
        assert_eq!((pool.cleaned_total, pool.closed_total.unclean), (0, 0));
    });
}

async fn one_connection(
    with: impl FnOnce(&mut pgprime_client::DatabaseConfig),
) -> (crate::support::Place, Database) {
    let place = place();
    let mut config = place.config();
    config.pool_max = Some(1);
    with(&mut config);
    let database = connect(config).await;
    (place, database)
}

#[test]
fn dropped_halfway_the_rest_is_cancelled_and_the_connection_goes_on() {
    run(async {
        let (place, database) = one_connection(|_| {}).await;
        let pid: i32 = value(&database.main(), "SELECT pg_backend_pid()").await;
        // The second would run for an hour after its first row, which is large enough to be sent at once.
        let endless = "SELECT i, repeat('x', 20000), CASE WHEN i > 1 THEN pg_sleep(3600) END \
                       FROM generate_series(1, 5) i";
        for sql in [MILLION, endless] {
            let main = database.main();
            let mut rows = main.query_stream(sql, &[]).await.unwrap();
            if sql == MILLION {
                for _ in 0..1_000 {
                    rows.next().await.unwrap().unwrap();
                }
            }
            drop(rows);
            assert_eq!(value::<i32>(&database.main(), "SELECT pg_backend_pid()").await, pid, "{sql}");
        }
        let pool = at_rest(&database).await;
        assert_eq!((pool.cleaned_total, pool.closed_total.unclean, pool.opened_total), (2, 0, 1), "{pool:?}");
        assert_eq!(place.sessions("state <> 'idle'"), 0);
    });
}

#[test]
fn an_error_in_the_middle_ends_the_stream() {
    run(async {
        let (_place, database) = one_connection(|_| {}).await;
        let main = database.main();
        let sql = "SELECT 10 / (5 - i) FROM generate_series(1, 9) i";
        let mut rows = main.query_stream(sql, &[]).await.unwrap();
        for _ in 0..4 {
            rows.next().await.unwrap().unwrap();
        }
        assert_eq!(sqlstate(rows.next().await), "22012");
        assert!(rows.next().await.unwrap().is_none());
        // The connection has gone back although the stream is still there.
        assert_eq!(value::<i32>(&main, "SELECT 1").await, 1);
        let pool = at_rest(&database).await;
        assert_eq!(pool.closed_total.unclean, 0);
    });
}

#[test]
fn streams_within_a_transaction_and_on_the_read_role() {
    run(async {
        let (place, database) = one_connection(|config| config.slow_query = std::time::Duration::ZERO).await;
        let main = database.main();
        let count = main.transaction(|transaction| async move {
            transaction.execute("INSERT INTO items SELECT generate_series(1, 50)", &[]).await?;
            let mut rows = transaction.query_stream("SELECT id FROM items", &[]).await?;
            let mut count = 0;
            while rows.next().await?.is_some() {
                count += 1;
            }
            drop(rows);
            transaction.execute("DELETE FROM items WHERE id > 10", &[]).await?;
            Ok::<u32, Error>(count)
        });
        assert_eq!(count.await.unwrap(), 50);
        let read = database.read();
        let mut rows = read.query_stream("SELECT id FROM items", &[]).await.unwrap();
        let mut count = 0;
        while rows.next().await.unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 10);
        assert_eq!(place.sessions("state LIKE 'idle in%'"), 0);
    });
}
