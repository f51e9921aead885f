//! Replicas: they replay, they fall behind, they are promoted.

use pgprime_cluster::{Cluster, ClusterOptions, StopMode};

#[test]
fn replicas_replay_and_one_is_promoted() {
    let cluster = Cluster::start(&ClusterOptions::default().with_replicas(2)).unwrap();
    let primary = cluster.primary();
    let [first, second] = cluster.replicas() else { panic!("two replicas were asked for") };
    primary.psql("postgres", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS x").unwrap();
    cluster.wait_for_replay().unwrap();
    for replica in [first, second] {
        assert_eq!(replica.psql("postgres", "SELECT count(*) FROM t").unwrap(), "1000");
        assert_eq!(replica.psql("postgres", "SHOW cluster_name").unwrap(), replica.cluster_name());
    }
    let followers = "SELECT application_name FROM pg_stat_replication ORDER BY 1";
    let expected = format!("{}\n{}", first.cluster_name(), second.cluster_name());
    assert_eq!(primary.psql("postgres", followers).unwrap(), expected);

    // A replica that was down gets what it missed.
    second.stop(StopMode::Fast).unwrap();
    primary.psql("postgres", "INSERT INTO t VALUES (0)").unwrap();
    second.start().unwrap();
    second.wait_for_replay(primary).unwrap();
    assert_eq!(second.psql("postgres", "SELECT count(*) FROM t").unwrap(), "1001");

    assert!(first.psql("postgres", "INSERT INTO t VALUES (0)").is_err(), "a replica takes no writes");
    first.wait_for_replay(primary).unwrap();
    primary.kill();
    first.promote().unwrap();
    assert_eq!(first.psql("postgres", "INSERT INTO t VALUES (0); SELECT count(*) FROM t").unwrap(), "1002");
    assert!(first.promote().is_err(), "it is a primary already");
}
