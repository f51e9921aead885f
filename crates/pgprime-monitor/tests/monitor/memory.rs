//! What is remembered of replicas and of the past hour, over restarts of everybody, and what a role that sees little is told.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pgprime_advisor::space::{SpaceOptions, report};
use pgprime_cluster::{Cluster, ClusterOptions, Installation, Node, SharedCluster, StopMode};
use pgprime_monitor::alerts::{AlertCenter, AlertSettings, AlertSink};
use pgprime_monitor::health::{Check, Direct, Settings, SpaceSummary, Status};
use pgprime_monitor::watch::{Round, RoundSink as _, WatchConfig, Watcher};
use tokio_postgres::{Client, NoTls};

/// What is not so by then is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

static CLUSTER: SharedCluster = SharedCluster::new(ClusterOptions::default);

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn check<'a>(round: &'a Round, id: &str) -> &'a Check {
    round
        .report
        .checks
        .iter()
        .find(|check| check.id == id)
        .unwrap_or_else(|| panic!("there is no check {id}"))
}

/// One process that watches, with its file.
struct Process {
    watcher: Watcher,
    center: Arc<AlertCenter>,
    sink: AlertSink,
}

impl Process {
    fn start(url: &str, file: &Path) -> Self {
        let settings = AlertSettings::from_toml("").unwrap();
        let center = Arc::new(AlertCenter::start(settings, Some(file), Timestamp::now()).unwrap());
        let connect = Arc::new(Direct::new(url, Duration::from_secs(5)));
        let memory = center.memory();
        let config = WatchConfig { memory, ..WatchConfig::new(Settings::default(), connect) };
        let sink = AlertSink(Arc::clone(&center));
        Self { watcher: Watcher::new(config), center, sink }
    }

    /// Rounds until a check is as wanted.
    async fn until(&mut self, id: &str, wanted: impl Fn(&Check) -> bool) -> Check {
        let begun = Instant::now();
        loop {
            let round = self.watcher.round().await;
            self.sink.on_round(&round);
            let found = round.report.checks.iter().find(|check| check.id == id);
            if let Some(check) = found.filter(|check| wanted(check)) {
                return check.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "{id} stays {found:?}; {:?}", round.report.checks.first());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first round after a start.
    async fn first(&mut self, id: &str) -> Check {
        check(&self.watcher.round().await, id).clone()
    }

    async fn end(self) {
        self.center.end().await;
    }
}

#[tokio::test]
async fn a_replica_that_is_gone_is_missed_after_restarts_of_everybody() {
    const ID: &str = "replication.broken";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.sqlite");
    let cluster = Cluster::start(&ClusterOptions::default().with_replicas(1)).unwrap();
    let url = cluster.primary().url("postgres");
    let mut first = Process::start(&url, &file);
    first.until(ID, |check| check.text == "1 replica streaming.").await;
    cluster.replicas()[0].kill();
    first.until(ID, |check| check.status == Status::Critical).await;
    first.end().await;

    let mut second = Process::start(&url, &file);
    let check = second.first(ID).await;
    assert_eq!(check.status, Status::Critical, "{check:?}");
    assert!(check.text.starts_with("0 of 1 streaming; "), "{}", check.text);
    cluster.primary().restart(StopMode::Fast).unwrap();
    let check = second.first(ID).await;
    assert_eq!(check.status, Status::Critical, "{check:?}");
    cluster.replicas()[0].start().unwrap();
    second.until(ID, |check| check.text == "1 replica streaming.").await;
    second.end().await;
}

#[tokio::test]
async fn a_deadlock_of_the_past_hour_is_counted_after_restarts_of_everybody() {
    const ID: &str = "errors.deadlocks";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.sqlite");
    let cluster =
        Cluster::start(&ClusterOptions::default().with_setting("deadlock_timeout", "10ms")).unwrap();
    let url = cluster.primary().url("postgres");
    let mut process = Process::start(&url, &file);
    assert!(process.until(ID, |check| check.value == Some(0.0)).await.is_tentative, "an hour was not seen");
    deadlock(&url).await;
    process.until(ID, |check| check.status == Status::Warning).await;
    process.end().await;

    let mut second = Process::start(&url, &file);
    let check = second.first(ID).await;
    assert_eq!((check.status, check.value), (Status::Warning, Some(1.0)), "{check:?}");
    cluster.primary().restart(StopMode::Fast).unwrap();
    let check = second.first(ID).await;
    assert_eq!((check.status, check.value), (Status::Warning, Some(1.0)), "{check:?}");
    second.end().await;
    let unknowing = Process::start(&url, &folder.path().join("other.sqlite")).first(ID).await;
    assert_eq!((unknowing.status, unknowing.is_tentative), (Status::Ok, true), "{unknowing:?}");
}

/// Two transactions that lock in different order: one of them is ended.
async fn deadlock(url: &str) {
    let (one, other) = (client(url).await, client(url).await);
    one.batch_execute("CREATE TABLE d (id int PRIMARY KEY); INSERT INTO d VALUES (1), (2)").await.unwrap();
    for (session, id) in [(&one, 1), (&other, 2)] {
        let update = format!("BEGIN; UPDATE d SET id = id WHERE id = {id}");
        session.batch_execute(&update).await.unwrap();
    }
    let (first, second) = tokio::join!(
        one.batch_execute("UPDATE d SET id = id WHERE id = 2; ROLLBACK"),
        other.batch_execute("UPDATE d SET id = id WHERE id = 1; ROLLBACK")
    );
    assert!(first.is_err() != second.is_err(), "one of them is ended");
}

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn run(node: &Node, program: &str, arguments: &[&str]) -> Running {
    let mut command = Command::new(Installation::find().unwrap().bin_dir().join(program));
    command.arg("-h").arg(node.socket_dir()).args(["-p", &node.port().to_string(), "-U", "postgres"]);
    Running(command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// A base backup streams WAL for as long as it lasts, and is over when it is over.
#[tokio::test]
async fn backups_archives_and_subscribers_are_not_missed() {
    const ID: &str = "replication.broken";
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let cluster = Cluster::start(&ClusterOptions::default().with_setting("wal_level", "logical")).unwrap();
    let node = cluster.primary();
    node.psql("postgres", "SELECT pg_create_logical_replication_slot('changes', 'test_decoding')").unwrap();
    std::fs::create_dir(place("archive")).unwrap();
    let (backup, archive, null) = (place("backup"), place("archive"), "/dev/null");
    let all = [
        run(node, "pg_basebackup", &["-D", &backup, "-X", "stream", "--max-rate=32k", "--checkpoint=fast"]),
        run(node, "pg_receivewal", &["-D", &archive]),
        run(node, "pg_recvlogical", &["-d", "postgres", "--slot=changes", "--start", "-f", null]),
    ];
    let mut process = Process::start(&node.url("postgres"), &folder.path().join("alerts.sqlite"));
    let ask = "SELECT string_agg(application_name, ' ' ORDER BY application_name) FROM pg_stat_replication \
               WHERE state = 'streaming'";
    let begun = Instant::now();
    while node.psql("postgres", ask).unwrap() != "pg_basebackup pg_receivewal pg_recvlogical" {
        assert!(begun.elapsed() < PATIENCE, "{}", node.psql("postgres", ask).unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let alone = "There are no replicas, and none is expected.";
    assert_eq!(process.first(ID).await.text, alone);
    assert_eq!(process.first(ID).await.text, alone);
    drop(all);
    let begun = Instant::now();
    // The child of pg_basebackup that streams outlives it.
    while node.psql("postgres", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_replication").unwrap()
        != "0"
    {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let check = process.first(ID).await;
    assert_eq!((check.status, &*check.text), (Status::Ok, alone));
    let slot = process.first("replication.slots_inactive").await;
    assert_eq!(slot.status, Status::Warning, "whoever reads changes is missed by its slot: {slot:?}");
    process.end().await;
}

/// `pg_monitor` shows what sessions do, not what is in tables: their waste, and how far sequences are.
#[tokio::test]
async fn a_role_with_pg_monitor_only_is_told_what_it_does_not_see() {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database("memory_role").unwrap();
    let node = cluster.primary();
    node.psql(
        &database,
        "CREATE ROLE memory_watcher LOGIN IN ROLE pg_monitor;
         CREATE TABLE t (id serial, text text);
         INSERT INTO t (text) SELECT repeat('x', 500) FROM generate_series(1, 60000);
         CREATE INDEX t_id ON t (id);
         DELETE FROM t WHERE id % 10 <> 0;
         SELECT setval('t_id_seq', 2100000000)",
    )
    .unwrap();
    node.psql(&database, "VACUUM ANALYZE t").unwrap();
    let url = node.url(&database);
    let summary = async |url: &str| {
        let report = report(&client(url).await, &SpaceOptions::default()).await.unwrap();
        SpaceSummary::of(&report, Timestamp::now())
    };
    let owner = summary(&url).await;
    assert_eq!((owner.tables.unseen_bytes, &owner.tables.unseen, &owner.sequences.unseen), (0, &None, &None));
    assert!(owner.tables.wasted_bytes > 5 << 20, "{owner:?}");
    let worst = &owner.tables.worst[0];
    assert_eq!(
        (worst.name.as_str(), &worst.statement),
        ("public.t", &None),
        "nothing that keeps others waiting"
    );
    let fullest = &owner.sequences.fullest[0];
    assert!(fullest.used_percent > 97.0 && fullest.statement.is_none(), "{fullest:?}");
    assert!(fullest.summary.as_ref().unwrap().starts_with("97.8 % used"), "{fullest:?}");

    let watcher_url = url.replace("postgres@", "memory_watcher@");
    let watcher = summary(&watcher_url).await;
    assert_eq!((watcher.tables.wasted_bytes, watcher.tables.unseen_bytes), (0, owner.tables.total_bytes));
    let grants = [&watcher.tables.unseen, &watcher.indexes.unseen, &watcher.sequences.unseen]
        .map(|missing| missing.as_ref().unwrap().statement.clone().unwrap());
    let sequences = "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO memory_watcher;";
    assert_eq!((grants[0].as_str(), grants[2].as_str()), (grants[1].as_str(), sequences));
    for grant in &grants {
        node.psql(&database, grant).unwrap();
    }
    let granted = summary(&watcher_url).await;
    assert_eq!((&granted.tables, &granted.sequences), (&owner.tables, &owner.sequences));
}

/// What is given to copy for a database that takes nobody leaves it as it was, and vacuumed.
#[tokio::test]
async fn template0_can_be_vacuumed_as_it_is_said() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let node = cluster.primary();
    let ask = "SELECT datname, datallowconn FROM pg_database WHERE age(datfrozenxid) > 5 ORDER BY 1";
    node.psql("postgres", "CREATE TABLE t (x int)").unwrap();
    for value in 0..10 {
        node.psql("postgres", &format!("INSERT INTO t VALUES ({value})")).unwrap();
    }
    assert!(node.psql("postgres", ask).unwrap().contains("template0|f"));
    let script = "ALTER DATABASE \"template0\" ALLOW_CONNECTIONS true;\n\\connect \"template0\"\nVACUUM (FREEZE);\n\\connect \"postgres\"\n\
                  ALTER DATABASE \"template0\" ALLOW_CONNECTIONS false;";
    node.psql("postgres", script).unwrap();
    assert!(!node.psql("postgres", ask).unwrap().contains("template0"));
    assert_eq!(
        node.psql("postgres", "SELECT datallowconn FROM pg_database WHERE datname = 'template0'").unwrap(),
        "f"
    );
}
