//! One statement for many rows, in one transaction.

use pgprime_client::Named;
use tokio_postgres::types::ToSql;

use crate::support::{Cut, Proxy, Trigger, at_rest, connect, place, run, secret, sqlstate};

const INSERT: &str = "INSERT INTO items (id, text) VALUES ($1, $2)";

fn rows<'a>(ids: &'a [i64], text: &'a String) -> Vec<Vec<&'a (dyn ToSql + Sync)>> {
    ids.iter().map(|id| vec![id as &(dyn ToSql + Sync), text as &(dyn ToSql + Sync)]).collect()
}

#[test]
fn ten_thousand_rows_are_one_transaction() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.statements = vec![("insert_item".into(), INSERT.into())];
        let database = connect(config).await;
        let (ids, text) = ((1..=10_000).collect::<Vec<i64>>(), secret(1));
        let changed = database.main().batch(Named("insert_item"), &rows(&ids, &text)).await.unwrap();
        assert_eq!(changed, vec![1; 10_000]);
        let sql = "SELECT count(*) || ' ' || count(DISTINCT xmin::text) FROM items";
        assert_eq!(place.psql(sql), "10000 1");
        // Updates say how many rows each of them changed.
        let all: Vec<i64> = vec![3, 30_000, 5];
        let sql = "UPDATE items SET n = n + 1 WHERE id <= $1 AND text = $2 AND id > $1 - 4";
        assert_eq!(database.main().batch(sql, &rows(&all, &text)).await.unwrap(), [3, 0, 4]);
        assert_eq!(database.main().batch(INSERT, &[]).await.unwrap(), Vec::<u64>::new());
        at_rest(&database).await;
    });
}

#[test]
fn a_batch_that_fails_leaves_nothing_behind() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (7777)");
        let database = place.connect().await;
        let (ids, text) = ((1..=10_000).collect::<Vec<i64>>(), secret(1));
        let rows = rows(&ids, &text);
        assert_eq!(sqlstate(database.main().batch(INSERT, &rows).await), "23505");
        assert_eq!(place.psql("SELECT count(*) FROM items"), "1");
        let pool = at_rest(&database).await;
        assert_eq!(pool.closed_total.unclean, 0, "{pool:?}");
        // Within a transaction, a savepoint keeps the rest.
        let rows = &rows;
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            transaction.execute("INSERT INTO items VALUES (0)", &[]).await?;
            let failed =
                transaction.savepoint(|savepoint| async move { savepoint.batch(INSERT, rows).await }).await;
            assert_eq!(sqlstate(failed), "23505");
            transaction.batch(INSERT, &rows[..10]).await
        });
        outcome.await.unwrap();
        assert_eq!(place.psql("SELECT count(*) FROM items"), "12");
    });
}

#[test]
fn a_batch_whose_connection_is_lost_is_run_again_as_a_whole() {
    run(async {
        let place = place();
        let proxy = Proxy::start(place.primary().port()).await;
        let database = connect(place.config_at(proxy.port())).await;
        let (ids, text) = ((1..=500).collect::<Vec<i64>>(), secret(1));
        proxy.cut(Trigger::Execute, Cut::After, 1);
        let changed = database.main().batch(INSERT, &rows(&ids, &text)).await.unwrap();
        assert_eq!((changed.len(), proxy.has_cut()), (500, true));
        assert_eq!(place.psql("SELECT count(*) FROM items"), "500");
        assert_eq!(database.report().main.queries.retries_total, 1);
    });
}
