//! Health of real databases: what is wrong with them is made so here, and found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgprime_client::{Database, DatabaseConfig};
use pgprime_cluster::{Cluster, ClusterOptions, SharedCluster, StopMode};
use pgprime_monitor::health::{
    Check, Connect as _, Direct, DownKind, HealthReport, Look, Looked, Missing, Observation, Place, Pooled,
    Settings, Status, checks,
};
use pgprime_monitor::watch::{Monitor, Round, RoundSink, WatchConfig};
use tokio_postgres::{Client, NoTls};

/// What is not so by then is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

static CLUSTER: SharedCluster =
    SharedCluster::new(|| ClusterOptions::default().with_setting("max_prepared_transactions", "5"));

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn look(url: &str) -> Look {
    Look::new(Arc::new(Direct::new(url, Duration::from_secs(5))))
}

/// Every table and index is looked at each time, and thresholds are those of a second.
fn settings() -> Settings {
    with(|settings| settings.catalog_every = Duration::ZERO)
}

fn with(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

fn report_of(look: &Look, looked: &Looked, settings: &Settings) -> HealthReport {
    looked.report(&looked.evidence(look.earlier().map(|earlier| &**earlier)), settings)
}

fn find<'a>(checks: &'a [Check], id: &str) -> &'a Check {
    checks.iter().find(|check| check.id == id).unwrap_or_else(|| panic!("there is no check {id}"))
}

/// What is not seen, whether or not this version of PostgreSQL makes clusters with checksums.
fn unseen(observed: &Observation) -> Vec<Missing> {
    observed.missing().into_iter().filter(|missing| missing.what != "damaged blocks").collect()
}

/// Looks until a check is as wanted: statistics and sessions are shared, and take their time.
async fn until(
    url: &str,
    settings: &Settings,
    id: &str,
    wanted: impl Fn(&Check) -> bool,
) -> (Check, HealthReport) {
    let (mut look, begun) = (look(url), Instant::now());
    loop {
        let looked = look.take(settings).await;
        let report = report_of(&look, &looked, settings);
        look.remember(&looked);
        if let Some(check) = report.checks.iter().find(|check| check.id == id && wanted(check)) {
            return (check.clone(), report);
        }
        let check = report.checks.iter().find(|check| check.id == id);
        assert!(begun.elapsed() < PATIENCE, "{id} stays {check:?}; {:?}", report.missing);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_primary_at_rest_is_well_and_all_of_it_is_seen() {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database("health_rest").unwrap();
    cluster.primary().psql(&database, "CREATE EXTENSION pg_stat_statements").unwrap();
    let url = cluster.primary().url(&database);
    let (mut look, settings) = (look(&url), settings());
    let first = look.take(&settings).await;
    look.remember(&first);
    let second = look.take(&settings).await;
    let observed = second.observed.as_ref().unwrap();
    assert_eq!(unseen(observed), [], "{observed:?}");
    assert_eq!((observed.server.connections_max, observed.server.in_recovery), (200, false));
    let checks = checks(observed, Some(first.observed.as_ref().unwrap()), &settings);
    for id in [
        "database.up",
        "queries.longest_running",
        "vacuum.wraparound",
        "disk.free",
        "disk.database_bytes",
        "cache.buffers_hit",
    ] {
        let check = find(&checks, id);
        // Other tests work on the same server, and the machine's disk is its own affair.
        assert!(
            check.status == Status::Ok || id.starts_with("disk.") || id.starts_with("queries."),
            "{check:?}"
        );
    }
    assert!(find(&checks, "disk.database_bytes").value.unwrap() > 1e6);
    assert!(find(&checks, "checkpoints.wal_bytes_per_s").value.is_some());
}

#[tokio::test]
async fn a_role_without_pg_monitor_is_told_what_it_lacks() {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database("health_role").unwrap();
    cluster
        .primary()
        .psql(
            &database,
            "CREATE ROLE health_plain LOGIN; CREATE ROLE health_monitor LOGIN IN ROLE pg_monitor",
        )
        .unwrap();
    let _other = client(&cluster.primary().url(&database)).await;
    let url = |role| cluster.primary().url(&database).replace("postgres@", &format!("{role}@"));
    let settings = settings();
    let plain = look(&url("health_plain")).take(&settings).await.observed.unwrap();
    let missing = plain.missing();
    let grant = "GRANT pg_monitor TO health_plain;";
    assert!(missing.iter().any(|missing| missing.statement.as_deref() == Some(grant)), "{missing:?}");
    let seen = checks(&plain, None, &settings);
    for id in ["transactions.longest", "queries.longest_running", "connections.idle_in_transaction"] {
        assert_eq!(
            (find(&seen, id).status, find(&seen, id).statement.as_deref()),
            (Status::Unknown, Some(grant)),
            "{id}"
        );
    }
    assert!(find(&seen, "connections.used").value.unwrap() > 0.0);

    let monitor = look(&url("health_monitor")).take(&settings).await.observed.unwrap();
    let statements: Vec<_> = unseen(&monitor).into_iter().map(|missing| missing.statement).collect();
    assert_eq!(statements, [Some("CREATE EXTENSION pg_stat_statements;".to_owned())]);
}

#[tokio::test]
async fn long_and_idle_transactions_are_named() {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database("health_long").unwrap();
    let url = cluster.primary().url(&database);
    let idle = client(&format!("{url}?application_name=sleeper")).await;
    idle.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let at_work = client(&url).await;
    let work = tokio::spawn(async move { at_work.batch_execute("SELECT pg_sleep(600)").await });
    let text = "[health.thresholds]\n\"transactions.idle_longest\" = { warning = 0.001 }\n\
                \"queries.longest_running\" = { warning = 0.001 }";
    let settings = Settings::from_toml(text).unwrap();
    let is_ours = |check: &Check, field: &str, text: &str| {
        let named =
            |detail: &serde_json::Value| detail[field].as_str().is_some_and(|found| found.contains(text));
        check.status == Status::Warning && check.details.iter().any(named)
    };
    let (check, _) =
        until(&url, &settings, "transactions.idle_longest", |check| is_ours(check, "application", "sleeper"))
            .await;
    assert!(check.statement.unwrap().starts_with("SELECT pg_terminate_backend("));
    until(&url, &settings, "queries.longest_running", |check| is_ours(check, "query", "pg_sleep(600)")).await;
    work.abort();
}

#[tokio::test]
async fn a_chain_of_three_is_a_tree_with_the_root_to_end() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let url = cluster.primary().url("postgres");
    cluster
        .primary()
        .psql("postgres", "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
        .unwrap();
    let (root, middle, last) = (client(&url).await, client(&url).await, client(&url).await);
    let pid = |row: tokio_postgres::Row| row.get::<_, i32>(0);
    let ask = "SELECT pg_backend_pid()";
    let root_pid = pid(root.query_one(ask, &[]).await.unwrap());
    let middle_pid = pid(middle.query_one(ask, &[]).await.unwrap());
    let last_pid = pid(last.query_one(ask, &[]).await.unwrap());
    root.batch_execute("BEGIN; UPDATE t SET id = 11 WHERE id = 1").await.unwrap();
    middle.batch_execute("BEGIN; UPDATE t SET id = 12 WHERE id = 2").await.unwrap();
    let middle_waits = tokio::spawn(async move { middle.batch_execute("DELETE FROM t WHERE id = 1").await });
    let last_waits = tokio::spawn(async move { last.batch_execute("DELETE FROM t WHERE id = 2").await });
    let settings =
        Settings::from_toml("[health.thresholds]\n\"locks.blocked_longest\" = { warning = 0.001 }").unwrap();
    let is_whole = |check: &Check| {
        let tree = check.details.first();
        let at = |path| tree.and_then(|tree| tree.pointer(path)).and_then(serde_json::Value::as_i64);
        [at("/pid"), at("/blocks/0/pid"), at("/blocks/0/blocks/0/pid")]
            == [Some(root_pid.into()), Some(middle_pid.into()), Some(last_pid.into())]
    };
    let (check, _) = until(&url, &settings, "locks.blocked_longest", is_whole).await;
    assert_eq!(check.statement, Some(format!("SELECT pg_terminate_backend({root_pid});")));
    assert_eq!(check.details[0]["state"], "idle in transaction");
    root.batch_execute("ROLLBACK").await.unwrap();
    middle_waits.await.unwrap().unwrap();
    last_waits.abort();
}

#[tokio::test]
async fn prepared_transactions_invalid_indexes_and_slots() {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database("health_left").unwrap();
    let url = cluster.primary().url(&database);
    cluster.primary().psql(&database, "CREATE TABLE t AS SELECT 1 AS x FROM generate_series(1, 2)").unwrap();
    // Two equal rows: the unique index fails and stays behind, not valid.
    assert!(cluster.primary().psql(&database, "CREATE UNIQUE INDEX CONCURRENTLY t_x ON t (x)").is_err());
    cluster
        .primary()
        .psql(&database, "BEGIN; INSERT INTO t VALUES (3); PREPARE TRANSACTION 'it''s left'")
        .unwrap();
    cluster
        .primary()
        .psql(&database, "SELECT pg_create_physical_replication_slot('health_left', true)")
        .unwrap();
    let text = "[health]\ncatalog_every = \"0s\"\n[health.thresholds]\n\"transactions.prepared_oldest\" = { warning = 0.001 }";
    let (check, report) = until(&url, &Settings::from_toml(text).unwrap(), "indexes.invalid", |check| {
        check.status == Status::Warning
    })
    .await;
    let query = check.statement.unwrap();
    assert_eq!(cluster.primary().psql(&database, &query).unwrap(), "1|2", "{query}");
    let action = check.action.unwrap();
    assert!(action.contains("REINDEX INDEX CONCURRENTLY public.t_x;"), "{action}");
    let prepared = find(&report.checks, "transactions.prepared_oldest");
    assert_eq!(prepared.statement.as_deref(), Some("ROLLBACK PREPARED 'it''s left';"));
    let slot = find(&report.checks, "replication.slots_inactive");
    assert_eq!(slot.statement.as_deref(), Some("SELECT pg_drop_replication_slot('health_left');"));
    cluster.primary().psql(&database, "ROLLBACK PREPARED 'it''s left'").unwrap();
    cluster.primary().psql(&database, "SELECT pg_drop_replication_slot('health_left')").unwrap();
}

#[tokio::test]
async fn a_replica_that_stands_still_and_one_that_is_gone() {
    let cluster = Cluster::start(&ClusterOptions::default().with_replicas(1)).unwrap();
    let (primary, replica) = (cluster.primary(), &cluster.replicas()[0]);
    let (primary_url, replica_url) = (primary.url("postgres"), replica.url("postgres"));
    let text = "[health.thresholds]\n\"replication.lag_s\" = { warning = 1 }";
    let settings = Settings::from_toml(text).unwrap();
    until(&primary_url, &settings, "replication.broken", |check| check.text == "1 replica streaming.").await;
    let (_, report) =
        until(&replica_url, &settings, "replication.receiver", |check| check.status == Status::Ok).await;
    assert_eq!(report.in_recovery, Some(true));
    assert_eq!(find(&report.checks, "replication.replay_delay_s").status, Status::Ok);

    replica.psql("postgres", "SELECT pg_wal_replay_pause()").unwrap();
    primary
        .psql("postgres", "CREATE TABLE t AS SELECT generate_series(1, 100000) AS x; SELECT pg_switch_wal()")
        .unwrap();
    let (check, _) =
        until(&primary_url, &settings, "replication.lag_bytes", |check| check.value > Some(1e6)).await;
    assert_eq!(check.details[0]["name"], replica.cluster_name());
    let (check, _) =
        until(&replica_url, &settings, "replication.replay_delay_s", |check| check.status == Status::Warning)
            .await;
    assert_eq!(check.statement.as_deref(), Some("SELECT pg_wal_replay_resume();"));
    // The server's own figure stands still; the positions that were seen tell.
    let (check, _) =
        until(&primary_url, &settings, "replication.lag_s", |check| check.status == Status::Warning).await;
    assert!(check.text.contains("shows what was written"), "{}", check.text);
    replica.psql("postgres", "SELECT pg_wal_replay_resume()").unwrap();

    let mut look = look(&primary_url);
    let looked = look.take(&settings).await;
    look.remember(&looked);
    replica.kill();
    let begun = Instant::now();
    loop {
        let looked = look.take(&settings).await;
        let report = report_of(&look, &looked, &settings);
        look.remember(&looked);
        let broken = find(&report.checks, "replication.broken");
        if broken.status == Status::Critical {
            assert!(
                broken.text.starts_with("0 of 1 streaming; ") && broken.text.contains(" is gone, last seen "),
                "{}",
                broken.text
            );
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{broken:?}");
    }
    // The primary of the replica goes: nothing receives any more.
    replica.start().unwrap();
    primary.kill();
    until(&replica_url, &settings, "replication.receiver", |check| check.status == Status::Critical).await;
}

/// What a check says once its replica's figures are as wanted.
async fn until_details(url: &str, settings: &Settings, wanted: impl Fn(&serde_json::Value) -> bool) -> Check {
    let told = |check: &Check| check.details.first().is_some_and(&wanted);
    until(url, settings, "replication.replay_delay_s", told).await.0
}

/// The age of the last commit that was replayed grows while the primary rests; the replica is not behind for that.
#[tokio::test]
async fn a_replica_of_a_primary_at_rest_is_not_behind() {
    let cluster = Cluster::start(&ClusterOptions::default().with_replicas(1)).unwrap();
    let (primary, replica) = (cluster.primary(), &cluster.replicas()[0]);
    let url = replica.url("postgres");
    let text = "[health.thresholds]\n\"replication.replay_delay_s\" = { warning = 1 }";
    let settings = Settings::from_toml(text).unwrap();
    primary.psql("postgres", "CREATE TABLE t (x int)").unwrap();
    cluster.wait_for_replay().unwrap();
    let rests = |details: &serde_json::Value| {
        details["replayed_s_ago"].as_f64() > Some(3.0) && details["replay_lag_bytes"] == 0
    };
    let check = until_details(&url, &settings, rests).await;
    assert_eq!((check.value, check.status), (Some(0.0), Status::Ok), "{check:?}");

    // It goes on writing, and replay stands still: the time at rest is no delay.
    let (mut look, begun) = (look(&url), Instant::now());
    look.remember(&look.take(&settings).await);
    replica.psql("postgres", "SELECT pg_wal_replay_pause()").unwrap();
    let check = loop {
        primary.psql("postgres", "INSERT INTO t VALUES (1)").unwrap();
        let looked = look.take(&settings).await;
        let report = report_of(&look, &looked, &settings);
        look.remember(&looked);
        let check = find(&report.checks, "replication.replay_delay_s").clone();
        if check.value > Some(1.0) {
            break check;
        }
        assert!(begun.elapsed() < PATIENCE, "{check:?}");
    };
    assert!(check.value < Some(begun.elapsed().as_secs_f64() + 0.5), "{check:?}");
    assert_eq!(check.status, Status::Warning);
    assert!(check.text.starts_with("Replay is paused. What is shown here is "), "{}", check.text);
    replica.psql("postgres", "SELECT pg_wal_replay_resume()").unwrap();
    cluster.wait_for_replay().unwrap();
    let caught_up = |details: &serde_json::Value| details["replay_lag_bytes"] == 0;
    assert_eq!(until_details(&url, &settings, caught_up).await.value, Some(0.0));

    // Nothing comes any more: what is replayed is all that has come, and says nothing.
    let conninfo = replica.psql("postgres", "SHOW primary_conninfo").unwrap();
    let follow = |conninfo: &str| {
        let conninfo = conninfo.replace('\'', "''");
        replica.psql("postgres", &format!("ALTER SYSTEM SET primary_conninfo = '{conninfo}'")).unwrap();
        replica.reload().unwrap();
    };
    follow("");
    let check = until_details(&url, &settings, |details| details["is_running"] == false).await;
    primary.psql("postgres", "INSERT INTO t VALUES (2)").unwrap();
    assert_eq!((check.value, check.status), (None, Status::Unknown), "{check:?}");
    assert!(check.text.contains("nothing comes from the primary"), "{}", check.text);
    follow(&conninfo);
    cluster.wait_for_replay().unwrap();
    let follows =
        |details: &serde_json::Value| details["status"] == "streaming" && details["replay_lag_bytes"] == 0;
    let check = until_details(&url, &settings, follows).await;
    assert_eq!((check.value, check.status), (Some(0.0), Status::Ok), "{check:?}");
}

#[tokio::test]
async fn a_server_with_all_connections_taken_or_gone_says_so_at_once() {
    let options = ClusterOptions::default()
        .with_setting("max_connections", "12")
        .with_setting("superuser_reserved_connections", "3")
        .with_setting("max_wal_senders", "0");
    let cluster = Cluster::start(&options).unwrap();
    cluster.primary().psql("postgres", "CREATE ROLE plain LOGIN IN ROLE pg_monitor").unwrap();
    let url = cluster.primary().url("postgres").replace("postgres@", "plain@");
    let mut holders = Vec::new();
    while let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await {
        tokio::spawn(connection);
        holders.push(client);
        assert!(holders.len() < 20);
    }
    let (mut look, settings) = (look(&url), Settings::default());
    let looked = look.take(&settings).await;
    let down = looked.observed.clone().unwrap_err();
    assert_eq!((down.kind, down.sqlstate.as_deref()), (DownKind::Full, Some("53300")), "{down}");
    let full = report_of(&look, &looked, &settings);
    assert_eq!((full.status, full.checks[0].id.as_str()), (Status::Critical, "database.up"));
    assert!(full.checks[0].text.contains("all its connections are taken"), "{}", full.checks[0].text);
    drop(holders);
    let up = until(&url, &settings, "database.up", |check| check.status == Status::Ok).await;
    assert!(up.1.server_version.is_some());

    look.remember(&look.take(&settings).await);
    cluster.primary().stop(StopMode::Fast).unwrap();
    let begun = Instant::now();
    let looked = look.take(&settings).await;
    assert_eq!(looked.observed.unwrap_err().kind, DownKind::Unreachable);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_takes_connections_and_never_answers_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taking = tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            taken.push(stream);
        }
    });
    let settings = with(|settings| settings.timeout = Duration::from_millis(300));
    let begun = Instant::now();
    let looked = look(&format!("postgres://app@127.0.0.1:{port}/app")).take(&settings).await;
    assert_eq!(looked.observed.unwrap_err().kind, DownKind::Silent);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    taking.abort();

    // A database that hangs after the login.
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let look = look(&cluster.primary().url("postgres"));
    assert!(look.take(&Settings::default()).await.observed.is_ok());
    cluster.primary().pause().unwrap();
    let looked = look.take(&settings).await;
    assert_eq!(looked.observed.unwrap_err().kind, DownKind::Silent);
    cluster.primary().resume().unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_told_from_an_outage() {
    let hba = ["host all all 127.0.0.1/32 scram-sha-256"];
    let cluster = Cluster::start(&ClusterOptions::default().with_hba(hba)).unwrap();
    cluster.primary().psql("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'right'").unwrap();
    let url = cluster.primary().url("postgres").replace("postgres@", "guarded:wrong-secret@");
    let down = look(&url).take(&Settings::default()).await.observed.unwrap_err();
    assert_eq!(down.kind, DownKind::Rejected);
    assert!(!down.text.contains("wrong-secret"), "{down}");
}

/// Counts rounds, and panics at the first.
struct Counting(tokio::sync::mpsc::UnboundedSender<Arc<HealthReport>>);

impl RoundSink for Counting {
    fn on_round(&mut self, round: &Round) {
        self.0.send(Arc::clone(&round.report)).unwrap();
        assert!(round.number > 1, "the first round is too much for this one");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_monitor_goes_on_through_panics_and_outages() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let url = cluster.primary().url("postgres");
    let settings = with(|settings| {
        (settings.interval, settings.timeout) = (Duration::from_millis(100), Duration::from_secs(2));
    });
    let config = WatchConfig::new(settings, Arc::new(Direct::new(&url, Duration::from_secs(2))));
    let (sender, mut reports) = tokio::sync::mpsc::unbounded_channel();
    let monitor = Monitor::start(config, vec![Box::new(Counting(sender))]);
    let mut next = async |wanted: fn(&HealthReport) -> bool| loop {
        let report = tokio::time::timeout(PATIENCE, reports.recv()).await.unwrap().unwrap();
        if wanted(&report) {
            return report;
        }
    };
    next(|report| report.server_version.is_some()).await;
    next(|report| report.checks.iter().any(|check| check.id == "bloat.tables")).await;
    cluster.primary().stop(StopMode::Immediate).unwrap();
    next(|report| report.server_version.is_none() && report.status == Status::Critical).await;
    cluster.primary().start().unwrap();
    next(|report| report.server_version.is_some()).await;
    assert!(monitor.latest().unwrap().number > 3);
    monitor.stop().await;
}

#[tokio::test]
async fn looks_run_on_the_admin_pool_and_around_it_when_it_is_busy() {
    let url = CLUSTER.cluster().primary().url(&CLUSTER.cluster().test_database("health_pool").unwrap());
    let mut config = DatabaseConfig::new(&url);
    config.admin.size = Some(1);
    let database = Database::connect(config).await.unwrap();
    let pooled = Pooled::new(database.clone(), Place::Here);
    let looking = Look::new(Arc::new(pooled.clone()));
    for _ in 0..2 {
        let observed = looking.take(&settings()).await.observed.unwrap();
        assert!(observed.states.is_ok() && observed.disk.is_ok(), "{observed:?}");
    }
    let held = database.admin().acquire().await.unwrap();
    let busy = pooled.connect().await.err().unwrap();
    assert_eq!(busy.kind, DownKind::Busy, "{busy}");
    let around = Look::new(Arc::new(pooled.or_directly(Direct::new(&url, Duration::from_secs(5)))));
    assert!(around.take(&settings()).await.observed.is_ok());
    drop(held);
    database.close().await;
}
