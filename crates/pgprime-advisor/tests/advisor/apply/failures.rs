//! Builds that fail or are interrupted leave nothing behind, or say what.

use std::time::Duration;

use pgprime_advisor::indexes::{ApplyOptions, ApplyOutcome, apply, clean_up};
use pgprime_cluster::{Cluster, ClusterOptions, Node};
use tokio_postgres::{Client, NoTls};

use super::{BY_CUSTOMER, TABLE, advice, by_customer, failed, indexes, owned, short, workload};
use crate::space::connect;

/// Waits until a statement of this beginning waits for a lock, and returns its process.
async fn waiting(node: &Node, database: &str, begins: &str) -> i32 {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND query LIKE '{begins}%' AND state = 'active'
         AND wait_event_type = 'Lock'"
    );
    let watcher = connect(node, "postgres", "postgres").await;
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            if let Some(row) = watcher.query(&sql, &[]).await.unwrap().first() {
                return row.get(0);
            }
            tokio::task::yield_now().await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("no {begins} waits"))
}

/// A transaction that has written the table, for whose end a concurrent build waits.
async fn writer(node: &Node, database: &str) -> Client {
    let writer = connect(node, database, "postgres").await;
    writer.batch_execute("BEGIN; UPDATE orders SET note = 'y' WHERE id = 1").await.unwrap();
    writer
}

#[tokio::test]
async fn a_lock_that_is_not_had() {
    let (node, database, client) = owned("apply_locked", TABLE).await;
    let other = connect(node, &database, "postgres").await;
    other.batch_execute("BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE").await.unwrap();
    let (workload, advice) = (workload(&[(BY_CUSTOMER, &["7"])]), advice(vec![by_customer("i")]));
    let all = apply(&client, &workload, &advice, &short()).await.unwrap();
    failed(&all, Some("55P03"), "allow more time for locks");
    assert_eq!(indexes(node, &database), "orders_pkey");
    other.batch_execute("ROLLBACK").await.unwrap();
    let all = apply(&client, &workload, &advice, &short()).await.unwrap();
    assert_eq!(all[0].outcome, ApplyOutcome::Created);
}

#[tokio::test]
async fn a_build_that_waits_too_long_or_is_cancelled() {
    let (node, database, client) = owned("apply_stopped", TABLE).await;
    let (workload, advice) = (workload(&[(BY_CUSTOMER, &["7"])]), advice(vec![by_customer("i")]));
    let long = ApplyOptions { lock_timeout: Duration::from_secs(60), ..short() };
    let slow = ApplyOptions { build_timeout: Some(Duration::from_millis(300)), ..long.clone() };
    let cases = [
        (short(), None, "55P03", "allow more time for locks"),
        (slow, None, "57014", "allow it more time"),
        (long, Some("pg_cancel_backend"), "57014", "somebody cancelled"),
    ];
    for (options, stop, sqlstate, words) in cases {
        let writer = writer(node, &database).await;
        let interrupted = async {
            if let Some(function) = stop {
                let process = waiting(node, &database, "CREATE INDEX").await;
                node.psql("postgres", &format!("SELECT {function}({process})")).unwrap();
            }
            // What is left waits for the same transaction as the build did.
            waiting(node, &database, "DROP INDEX CONCURRENTLY").await;
            assert_eq!(indexes(node, &database), "i orders_pkey");
            writer.batch_execute("COMMIT").await.unwrap();
        };
        let (all, ()) = tokio::join!(apply(&client, &workload, &advice, &options), interrupted);
        failed(&all.unwrap(), Some(sqlstate), words);
        assert_eq!(indexes(node, &database), "orders_pkey");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_away_is_said() {
    let (node, database, client) = owned("apply_left", TABLE).await;
    let (workload, advice) = (workload(&[]), advice(vec![by_customer("i")]));
    let writer = writer(node, &database).await;
    let options = ApplyOptions { clean_up_timeout: Duration::from_millis(200), ..short() };
    let all = apply(&client, &workload, &advice, &options).await.unwrap();
    let ApplyOutcome::Failed { reason, is_clean: false, .. } = &all[0].outcome else { panic!("{all:?}") };
    assert!(reason.contains("DROP INDEX CONCURRENTLY IF EXISTS public.i;"), "{reason}");
    let all = apply(&client, &workload, &advice, &options).await.unwrap();
    failed(&all, None, "left by a failed build; first: DROP INDEX");
    writer.batch_execute("COMMIT").await.unwrap();
    assert_eq!(clean_up(&client, &advice, &short()).await.unwrap(), ["public.i"]);
    assert_eq!(clean_up(&client, &advice, &short()).await.unwrap(), [""; 0]);
    assert_eq!(indexes(node, &database), "orders_pkey");
}

#[tokio::test]
async fn a_connection_that_is_lost() {
    let (node, database, client) = owned("apply_lost", TABLE).await;
    let advice = advice(vec![by_customer("i"), by_customer("j")]);
    let writer = writer(node, &database).await;
    let lost = async {
        let process = waiting(node, &database, "CREATE INDEX").await;
        node.psql("postgres", &format!("SELECT pg_terminate_backend({process})")).unwrap();
    };
    let options = ApplyOptions { lock_timeout: Duration::from_secs(60), ..short() };
    let workload = workload(&[]);
    let (all, ()) = tokio::join!(apply(&client, &workload, &advice, &options), lost);
    let all = all.unwrap();
    let [only] = all.as_slice() else { panic!("{all:?}") };
    let ApplyOutcome::Failed { reason, is_clean: false, .. } = &only.outcome else { panic!("{all:?}") };
    assert!(reason.contains("connection was lost"), "{reason}");
    writer.batch_execute("COMMIT").await.unwrap();
    let client = connect(node, &database, &database).await;
    assert_eq!(clean_up(&client, &advice, &short()).await.unwrap(), ["public.i"]);
    assert_eq!(indexes(node, &database), "orders_pkey");
}

#[tokio::test]
async fn refused_before_anything_is_done() {
    let (node, database, client) = owned("apply_refused", TABLE).await;
    let (workload, one) = (workload(&[(BY_CUSTOMER, &["7"])]), advice(vec![by_customer("i")]));
    let unknown = ApplyOptions { names: vec!["x".to_owned()], ..short() };
    let error = apply(&client, &workload, &one, &unknown).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no suggestion \"x\"; there are: i");

    node.psql("postgres", "CREATE ROLE apply_stranger LOGIN").unwrap();
    node.psql(&database, "GRANT SELECT ON orders TO apply_stranger").unwrap();
    let stranger = connect(node, &database, "apply_stranger").await;
    let all = apply(&stranger, &workload, &one, &short()).await.unwrap();
    failed(
        &all,
        Some("42501"),
        &format!(
            "apply_stranger does not own public.orders, and only its owner creates indexes on it: connect as {database}"
        ),
    );

    node.psql(&database, "CREATE TABLE i ()").unwrap();
    failed(&apply(&client, &workload, &one, &short()).await.unwrap(), None, "the name public.i was taken");
    node.psql(&database, "DROP TABLE i; CREATE INDEX same ON orders USING btree (customer)").unwrap();
    failed(
        &apply(&client, &workload, &one, &short()).await.unwrap(),
        None,
        "index same of public.orders does the same",
    );
    node.psql(&database, "DROP TABLE orders").unwrap();
    failed(
        &apply(&client, &workload, &one, &short()).await.unwrap(),
        None,
        "there is no table public.orders any more",
    );
    assert_eq!(indexes(node, &database), "");
}

#[tokio::test]
async fn a_replica_is_refused() {
    let cluster = Cluster::start(&ClusterOptions::default().with_replicas(1)).unwrap();
    let url = cluster.replicas()[0].socket_url("postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let error = apply(&client, &workload(&[]), &advice(vec![by_customer("i")]), &short()).await.unwrap_err();
    assert!(error.to_string().contains("connect to the primary"), "{error}");
}
