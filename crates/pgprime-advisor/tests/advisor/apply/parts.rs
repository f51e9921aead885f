//! Indexes of partitioned tables.

use pgprime_advisor::indexes::{ApplyOptions, ApplyOutcome, Suggestion, apply, clean_up};

use super::{advice, failed, indexes, owned, short, suggestion, workload};
use crate::space::connect;

const TABLE: &str = "CREATE TABLE orders (id int, customer int) PARTITION BY RANGE (id);
    CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (20000);
    CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (20000) TO (40001);
    INSERT INTO orders SELECT i, i % 5000 FROM generate_series(1, 40000) i; ANALYZE orders;";

fn whole() -> Suggestion {
    let statements = [
        "CREATE INDEX i ON ONLY public.orders (customer)",
        "CREATE INDEX CONCURRENTLY i_1 ON public.orders_1 (customer)",
        "ALTER INDEX public.i ATTACH PARTITION public.i_1",
        "CREATE INDEX CONCURRENTLY i_2 ON public.orders_2 (customer)",
        "ALTER INDEX public.i ATTACH PARTITION public.i_2",
    ];
    suggestion("i", "public", &statements, "DROP INDEX public.i;", 1)
}

#[tokio::test]
async fn a_partitioned_index_is_built_in_parts() {
    let (node, database, client) = owned("apply_parts", TABLE).await;
    let workload = workload(&[("SELECT * FROM orders WHERE customer = 7", &[])]);
    let all = apply(&client, &workload, &advice(vec![whole()]), &short()).await.unwrap();
    assert_eq!((&all[0].outcome, all[0].has_gained), (&ApplyOutcome::Created, Some(true)), "{all:?}");
    let size = "SELECT pg_relation_size('i_1') + pg_relation_size('i_2')";
    assert_eq!(all[0].size_bytes, node.psql(&database, size).unwrap().parse().ok());
    assert_eq!(
        node.psql(&database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").unwrap(),
        "t"
    );
    client.batch_execute(&all[0].undo).await.unwrap();
    assert_eq!(indexes(node, &database), "");
    // With nothing to gain it goes as a whole.
    let options = ApplyOptions { auto_revert: true, gain_min_share: 2.0, ..short() };
    let all = apply(&client, &workload, &advice(vec![whole()]), &options).await.unwrap();
    assert!(matches!(all[0].outcome, ApplyOutcome::Reverted { .. }), "{all:?}");
    assert_eq!(indexes(node, &database), "");
}

#[tokio::test]
async fn a_part_that_fails_takes_all_with_it() {
    let (node, database, client) = owned("apply_part_fails", TABLE).await;
    let other = connect(node, &database, "postgres").await;
    other.batch_execute("BEGIN; LOCK TABLE orders_2 IN SHARE UPDATE EXCLUSIVE MODE").await.unwrap();
    let free = async {
        // Also the undo needs the table.
        let watcher = connect(node, "postgres", "postgres").await;
        let sql =
            format!("SELECT FROM pg_stat_activity WHERE datname = '{database}' AND query LIKE 'DROP INDEX%'");
        let seen = async { while watcher.query(&sql, &[]).await.unwrap().is_empty() {} };
        tokio::time::timeout(std::time::Duration::from_secs(30), seen).await.unwrap();
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let one = advice(vec![whole()]);
    let workload = workload(&[]);
    let options = short();
    let (all, ()) = tokio::join!(apply(&client, &workload, &one, &options), free);
    failed(&all.unwrap(), Some("55P03"), "allow more time");
    assert_eq!(indexes(node, &database), "");
}

#[tokio::test]
async fn what_an_interrupted_build_left_is_found() {
    let (node, database, client) = owned("apply_part_left", TABLE).await;
    let one = advice(vec![whole()]);
    for statement in &one.suggestions[0].statements[..4] {
        client.batch_execute(statement).await.unwrap();
    }
    assert_eq!(clean_up(&client, &one, &short()).await.unwrap(), ["public.i", "public.i_1", "public.i_2"]);
    assert_eq!(indexes(node, &database), "");
}
