//! Locks of others are not waited for, timeouts hold, and nothing is left behind.

use std::time::{Duration, Instant};

use pgprime_advisor::space::{Measure, NoEstimate, SpaceOptions, report};
use pgprime_cluster::{ClusterOptions, SharedCluster};

use super::{connect, database, look, measuring, options, steps};

/// Much more than the lock timeouts together, much less than a lock that is never given up.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn locked_relations_are_named_and_not_waited_for() {
    let (node, database) = database("locked");
    let sql = "CREATE EXTENSION pgstattuple; CREATE TABLE locked (id serial PRIMARY KEY, a text);
               CREATE INDEX locked_a ON locked (lower(a)) WHERE id > 0; CREATE TABLE free (id int);
               INSERT INTO locked (a) SELECT md5(i::text) FROM generate_series(1, 20000) i;
               INSERT INTO free SELECT generate_series(1, 20000); DELETE FROM locked WHERE id % 2 = 0;";
    steps(node, &database, &[sql, "VACUUM ANALYZE"]);
    let other = connect(node, &database, "postgres").await;
    other.batch_execute("BEGIN; LOCK TABLE locked; ALTER SEQUENCE locked_id_seq CYCLE").await.unwrap();
    let waiting = connect(node, &database, "postgres").await;
    let wait =
        waiting.batch_execute("BEGIN; SET LOCAL lock_timeout = '60s'; LOCK TABLE free IN SHARE MODE; COMMIT");
    wait.await.unwrap();

    let client = connect(node, &database, "postgres").await;
    let start = Instant::now();
    let looked = look(&client, &measuring()).await;
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert_eq!(looked.locked, ["public.locked", "public.locked_id_seq"]);
    let missing = &looked.missing[0];
    assert!(missing.what.contains("public.locked"), "{missing:?}");
    assert!(missing.why.contains("another session has locked"), "{missing:?}");
    let table = |name: &str| looked.tables.iter().find(|table| table.name == name).unwrap();
    assert!(table("locked").is_locked && table("locked").heap_bytes > 0);
    assert_eq!(table("locked").waste.not_estimated, Some(NoEstimate::Locked));
    assert!(!table("free").is_locked && table("free").waste.estimated.is_some());

    let start = Instant::now();
    let options = pgprime_advisor::index_review::ReviewOptions { space: measuring(), ..Default::default() };
    let review = pgprime_advisor::index_review::review(&client, &options).await.unwrap();
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert_eq!(review.locked, ["public.locked", "public.locked_id_seq"]);

    other.batch_execute("ROLLBACK").await.unwrap();
    let looked = look(&client, &measuring()).await;
    assert!(looked.locked.is_empty() && looked.missing.is_empty(), "{:#?}", looked.missing);
}

#[tokio::test]
async fn what_takes_too_long_is_left_out() {
    let (node, database) = database("limits");
    let sql = "CREATE EXTENSION pgstattuple; CREATE TABLE t (id int);
               INSERT INTO t SELECT generate_series(1, 40000); DELETE FROM t WHERE id % 2 = 0;";
    steps(node, &database, &[sql, "VACUUM ANALYZE"]);
    let client = connect(node, &database, "postgres").await;
    let measure = Measure { relations_max: 5, time_limit: Duration::ZERO };
    let looked = look(&client, &SpaceOptions { measure, ..options() }).await;
    let waste = &looked.tables[0].waste;
    assert!(waste.estimated.is_some() && waste.measured.is_none());
    assert!(waste.not_measured.as_ref().is_some_and(|reason| reason.contains("time")), "{waste:?}");
    let looked = look(&client, &SpaceOptions { tables_max: 1, ..options() }).await;
    assert!(looked.missing.iter().any(|missing| missing.what == "smaller tables"));
}

#[tokio::test]
async fn nothing_is_left_behind_nor_executed() {
    let (node, database) = database("clean");
    node.psql(&database, "CREATE TABLE t (id serial)").unwrap();
    let client = connect(node, &database, "postgres").await;
    look(&client, &measuring()).await;
    let sql = "SELECT current_setting('statement_timeout') || current_setting('lock_timeout')
                   || current_setting('transaction_read_only') || current_setting('search_path')
                   || (SELECT count(*) FROM pg_prepared_statements WHERE NOT statement LIKE '%pg_prepared%')
                   || (SELECT is_called FROM t_id_seq)";
    let left: String = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(left, "00off\"$user\", public0false");
}

#[tokio::test]
async fn a_lost_connection_is_an_error() {
    let (node, database) = database("lost");
    let client = connect(node, &database, "postgres").await;
    assert!(client.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())").await.is_err());
    let error = report(&client, &options()).await.unwrap_err();
    assert!(error.is_connection_lost() && error.is_transient(), "{error}");
}

static REPLICATED: SharedCluster =
    SharedCluster::new(|| ClusterOptions::default().with_replicas(1).with_setting("autovacuum", "off"));

#[tokio::test]
async fn a_replica_is_read_as_well() {
    let cluster = REPLICATED.cluster();
    let sql = "CREATE TABLE r (id serial); CREATE UNLOGGED TABLE gone (id serial);
               INSERT INTO r SELECT generate_series(1, 20000); CREATE INDEX r_id ON r (id); ANALYZE;";
    cluster.primary().psql("postgres", sql).unwrap();
    cluster.wait_for_replay().unwrap();
    let client = connect(&cluster.replicas()[0], "postgres", "postgres").await;
    let looked = look(&client, &options()).await;
    assert!(looked.server.in_recovery);
    assert!(pgprime_advisor::space::text(&looked).contains("run the statements there"));
    let options = pgprime_advisor::index_review::ReviewOptions::default();
    let review = pgprime_advisor::index_review::review(&client, &options).await.unwrap();
    assert!(review.missing.iter().any(|missing| missing.why.contains("follows another one")));

    let client = connect(cluster.primary(), "postgres", "postgres").await;
    let review = pgprime_advisor::index_review::review(&client, &options).await.unwrap();
    assert_eq!(review.replicas, 1);
    assert!(review.missing.iter().any(|missing| missing.why.contains("replicas count the scans")));
}
