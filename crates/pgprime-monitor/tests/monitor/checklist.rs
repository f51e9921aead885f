//! The checklist of real databases: one that nobody has tuned is mended by the SQL that comes with it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pgprime_capacity::postgres::Storage;
use pgprime_cluster::{Cluster, ClusterOptions, Installation, Node, SharedCluster, StopMode, free_port};
use pgprime_monitor::checklist::{
    ChecklistReport, FixKind, GatherOptions, Item, Verdict, check, fix_sql, gather, text,
};
use pgprime_planner::hardware::Hardware;
use pgprime_pooler::Pooler;
use pgprime_pooler::settings::Config;
use tokio_postgres::{Client, NoTls};

/// What is not so by then is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

static CLUSTER: SharedCluster = SharedCluster::new(ClusterOptions::default);

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A machine of this size, whatever the test runs on.
fn options() -> GatherOptions<'static> {
    let machine = Hardware { cores: Some(4), memory_bytes: Some(1 << 30), storage: Some(Storage::Ssd) };
    GatherOptions { machine, ..GatherOptions::default() }
}

async fn report(url: &str) -> ChecklistReport {
    check(&gather(&client(url).await, &options()).await.unwrap())
}

fn item<'a>(report: &'a ChecklistReport, id: &str) -> &'a Item {
    report.items.iter().find(|item| item.id == id).unwrap()
}

fn verdicts(report: &ChecklistReport, verdict: Verdict) -> Vec<&'static str> {
    report.items.iter().filter(|item| item.verdict == verdict).map(|item| item.id).collect()
}

/// As a person runs it: from a file, each statement by itself, up to the first that fails.
fn psql(node: &Node, database: &str, sql: &str) {
    let program = Installation::find().unwrap().bin_dir().join("psql");
    let mut child = Command::new(program)
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &node.url(database), "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{sql}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn an_untuned_server_is_mended_by_its_own_fix() {
    let untuned = ClusterOptions::default()
        .with_setting("shared_preload_libraries", "")
        .with_setting("max_parallel_workers_per_gather", "0");
    let cluster = Cluster::start(&untuned).unwrap();
    let node = cluster.primary();
    let url = node.url("postgres");

    let first = report(&url).await;
    let by_restart = ["database.pg_stat_statements", "database.shared_buffers"];
    let by_reload = ["database.effective_cache_size", "database.parallel_query", "database.random_page_cost"];
    for id in by_restart.iter().chain(&by_reload) {
        let item = item(&first, id);
        assert_eq!(item.verdict, Verdict::NotMet, "{item:?}");
        assert_eq!(item.fix.as_ref().unwrap().kind, FixKind::Sql, "{item:?}");
        assert_eq!(item.needs_restart, by_restart.contains(id), "{item:?}");
    }
    // Of version 18 on the number of workers takes no restart.
    assert_eq!(item(&first, "database.autovacuum").verdict, Verdict::NotMet);
    assert_eq!(item(&first, "database.work_mem").verdict, Verdict::Met);
    assert_eq!(item(&first, "query.slow").verdict, Verdict::CannotTell);
    assert!(text(&first).lines().all(|line| line.chars().count() <= 100), "{}", text(&first));

    let sql = fix_sql(&first);
    psql(node, "postgres", &sql);
    let begun = Instant::now();
    let second = loop {
        let report = report(&url).await;
        if by_reload.iter().all(|id| item(&report, id).verdict == Verdict::Met) {
            break report;
        }
        assert!(begun.elapsed() < PATIENCE, "{}\n{sql}", text(&report));
        tokio::task::yield_now().await;
    };
    for id in by_restart {
        let item = item(&second, id);
        assert_eq!((item.verdict, item.needs_restart), (Verdict::NotMet, true), "{item:?}");
        assert!(item.fix.as_ref().unwrap().text.contains("restart the server"), "{item:?}");
    }
    assert!(!fix_sql(&second).contains("ALTER SYSTEM"), "{}", fix_sql(&second));

    node.restart(StopMode::Fast).unwrap();
    let third = report(&url).await;
    let not_met = verdicts(&third, Verdict::NotMet);
    assert!(not_met.is_empty(), "{not_met:?}\n{}", text(&third));
    let met = verdicts(&third, Verdict::Met);
    for id in by_restart.iter().chain(&by_reload).chain(&["database.autovacuum", "database.work_mem"]) {
        assert!(met.contains(id), "{id} is not among {met:?}");
    }
    assert!(fix_sql(&third).contains("Nothing that SQL can do"), "{}", fix_sql(&third));
}

#[tokio::test]
async fn what_a_workload_does_is_found() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let (node, url) = (cluster.primary(), cluster.primary().url("postgres"));
    node.psql("postgres", "CREATE EXTENSION pg_stat_statements").unwrap();
    let application = client(&url).await;
    let setup = "CREATE TABLE quotes (id bigint PRIMARY KEY, customer_id bigint, premium numeric); \
                 INSERT INTO quotes SELECT n, n % 5000, n FROM generate_series(1, 200000) n; \
                 CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, body text); \
                 CREATE TABLE parts (id bigint PRIMARY KEY); ALTER TABLE parts SET (autovacuum_enabled = off); \
                 INSERT INTO parts SELECT generate_series(1, 5000); DELETE FROM parts; ANALYZE quotes";
    application.batch_execute(setup).await.unwrap();
    application.batch_execute("SELECT pg_stat_statements_reset()").await.unwrap();
    let insert = application.prepare("INSERT INTO events (body) VALUES ($1)").await.unwrap();
    for _ in 0..1_500 {
        application.execute(&insert, &[&"clicked"]).await.unwrap();
    }
    for _ in 0..12 {
        let page = "SELECT id, premium FROM quotes ORDER BY id OFFSET 150000 LIMIT 20";
        application.simple_query(page).await.unwrap();
        application
            .simple_query("SELECT customer_id, sum(premium) FROM quotes GROUP BY customer_id")
            .await
            .unwrap();
        application.simple_query("SELECT premium FROM quotes WHERE customer_id = 77").await.unwrap();
    }
    application.simple_query("SELECT pg_sleep(1.1)").await.unwrap();
    let begun = Instant::now();
    let report = loop {
        let report = report(&url).await;
        // What a session has done reaches the statistics of tables a moment later.
        if item(&report, "database.autovacuum").evidence.contains("switched off for public.parts") {
            break report;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", text(&report));
        tokio::task::yield_now().await;
    };
    for (id, said) in [
        ("application.batching", "INSERT INTO events"),
        ("application.caching", "sum(premium) FROM quotes"),
        ("query.indexes", "public.quotes"),
        ("query.pagination", "ORDER BY id OFFSET"),
        ("query.slow", "pg_sleep"),
    ] {
        let item = item(&report, id);
        assert!(
            item.verdict == Verdict::NotMet && item.evidence.contains(said),
            "{item:?}\n{}",
            text(&report)
        );
    }
    let index = item(&report, "query.indexes").fix.clone().unwrap();
    assert!(
        index.text.contains("CREATE INDEX CONCURRENTLY") && index.text.contains("(customer_id)"),
        "{index:?}"
    );
    psql(node, "postgres", &index.text);
    let mended = self::report(&url).await;
    assert_eq!(item(&mended, "query.indexes").verdict, Verdict::Met, "{}", text(&mended));
    assert!(text(&mended).lines().all(|line| line.chars().count() <= 100), "{}", text(&mended));
}

/// The console tells what counters cannot: who repeats what in a row.
#[tokio::test]
async fn what_a_pooler_sees_is_used() {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database("checklist_pooler").unwrap();
    let url = cluster.primary().url(&database);
    let setup = "CREATE EXTENSION pg_stat_statements; CREATE TABLE lines AS SELECT n AS id FROM \
                 generate_series(1, 50) n";
    cluster.primary().psql(&database, setup).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
    let (port, server) = (free_port(), cluster.primary().port());
    let ini = format!(
        "[databases]\n{database} = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\nadmin_users = postgres\n\
         pool_mode = transaction\ndefault_pool_size = 300\n",
        users.display()
    );
    let pooler = Pooler::bind(Config::parse(&ini, Path::new("test")).unwrap(), 1).unwrap();
    let handle = pooler.handle();
    let thread = std::thread::spawn(|| pooler.run().unwrap());
    let through = |database: &str| format!("postgres://postgres@127.0.0.1:{port}/{database}");
    let (application, console) = (client(&through(&database)).await, client(&through("pgbouncer")).await);
    application.simple_query("SELECT id FROM lines").await.unwrap();
    for id in 0..50 {
        application.simple_query(&format!("SELECT * FROM lines WHERE id = {id}")).await.unwrap();
    }
    let options = GatherOptions { console: Some(&console), ..options() };
    let database = client(&url).await;
    let begun = Instant::now();
    let report = loop {
        let report = check(&gather(&database, &options).await.unwrap());
        // The pooler's workers tell what they saw from time to time.
        if item(&report, "query.n_plus_one").verdict == Verdict::NotMet {
            break report;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", text(&report));
        tokio::task::yield_now().await;
    };
    let found = item(&report, "query.n_plus_one");
    assert!(
        found.evidence.contains("50 times in a row") && found.evidence.contains("FROM lines"),
        "{found:?}"
    );
    assert!(found.fix.as_ref().unwrap().text.contains("SELECT id FROM lines"), "{found:?}");
    let pooled = item(&report, "application.pooling");
    assert!(pooled.verdict == Verdict::Met && pooled.evidence.contains("pgprime serves"), "{pooled:?}");
    let connections = item(&report, "database.max_connections");
    assert!(
        connections.evidence.contains("may open 300 connections, the database has 197"),
        "{connections:?}"
    );
    handle.stop();
    thread.join().unwrap();
}

#[tokio::test]
async fn a_role_that_sees_little_is_told_what_it_lacks() {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database("checklist_role").unwrap();
    let setup = "CREATE EXTENSION pg_stat_statements; CREATE ROLE checklist_plain LOGIN";
    cluster.primary().psql(&database, setup).unwrap();
    let url = cluster.primary().url(&database).replace("postgres@", "checklist_plain@");
    let plain = report(&url).await;
    assert!(!plain.missing.is_empty(), "{}", text(&plain));
    let grant = Some("GRANT pg_monitor TO checklist_plain;");
    assert!(plain.missing.iter().any(|missing| missing.statement.as_deref() == grant), "{:?}", plain.missing);
    for id in ["database.shared_buffers", "database.random_page_cost"] {
        assert_eq!(item(&plain, id).verdict, Verdict::NotMet, "{}", text(&plain));
    }
}
