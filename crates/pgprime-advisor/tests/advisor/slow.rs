//! Slow statements of real databases.

use std::collections::HashSet;

use jiff::tz::TimeZone;
use pgprime_advisor::Missing;
use pgprime_advisor::history::{Events, History, Interval, Retention, Usage};
use pgprime_advisor::slow::{
    Basis, Databases, Order, PoolerFigures, PoolerRepeat, PoolerStatement, PoolerStatements, ReportOptions,
    SlowError, SlowReport, SlowStatement, Snapshot, Trend, between, delta, known, record, recorded, report,
    report_text, since_reset, snapshot, snapshot_except,
};
use pgprime_cluster::{Cluster, ClusterOptions, Node, SharedCluster, StopMode};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

static CLUSTER: SharedCluster = SharedCluster::new(ClusterOptions::default);

async fn connect(node: &Node, database: &str, role: &str) -> Client {
    let mut config: Config = node.url(database).parse().unwrap();
    let (client, connection) = config.user(role).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

const SETUP: &str =
    "CREATE EXTENSION pg_stat_statements; CREATE TABLE quotes (id int PRIMARY KEY, premium int);
    INSERT INTO quotes SELECT n, n FROM generate_series(1, 1000) n; GRANT ALL ON quotes TO PUBLIC;";

/// A database of its own on the shared cluster.
fn database(prefix: &str) -> (&'static Node, String) {
    let cluster = CLUSTER.cluster();
    let database = cluster.test_database(prefix).unwrap();
    cluster.primary().psql(&database, SETUP).unwrap();
    (cluster.primary(), database)
}

fn version_major(node: &Node) -> u32 {
    let number: u32 = node.psql("postgres", "SHOW server_version_num").unwrap().parse().unwrap();
    number / 10_000
}

const SELECT: &str = "SELECT premium FROM quotes WHERE id = $1";

async fn select(client: &Client, times: i32) {
    let statement = client.prepare(SELECT).await.unwrap();
    for id in 1..=times {
        client.query(&statement, &[&id]).await.unwrap();
    }
}

/// What a statement with these words did; its text is in one of the snapshots.
fn usage<'i>(interval: &'i Interval, snapshot: &Snapshot, words: &str) -> Option<&'i Usage> {
    let has_words = |text: &String| text.contains(words);
    let keys: HashSet<_> = snapshot
        .identities
        .iter()
        .filter(|identity| identity.text.as_ref().is_some_and(has_words))
        .filter(|identity| identity.key.database_oid == snapshot.server.database_oid)
        .map(|identity| identity.key)
        .collect();
    interval.usages.iter().find(|usage| keys.contains(&usage.key))
}

fn statement<'r>(report: &'r SlowReport, words: &str) -> Option<&'r SlowStatement> {
    report
        .statements
        .iter()
        .find(|statement| statement.text.as_ref().is_some_and(|text| text.contains(words)))
}

#[tokio::test]
async fn calls_are_counted_exactly() {
    let (node, database) = database("slow_calls");
    let client = connect(node, &database, "postgres").await;
    select(&client, 3).await;
    let before = snapshot(&client).await.unwrap();
    select(&client, 25).await;
    client.batch_execute("/* app */ UPDATE quotes SET premium = 7 WHERE id < 11").await.unwrap();
    client.batch_execute("SELECT pg_sleep(0.03)").await.unwrap();
    let after = snapshot(&client).await.unwrap();

    assert_eq!(after.server.version_major, version_major(node));
    assert_eq!((&*after.server.database, &*after.server.role), (&*database, "postgres"));
    assert_eq!((after.server.block_bytes, after.server.in_recovery), (8_192, false));
    let system = node.psql("postgres", "SELECT system_identifier FROM pg_control_system()").unwrap();
    assert_eq!(after.source("db:1").system, system);
    assert_eq!(after.tracking.track.as_deref(), Some("all"));
    assert!(after.hidden.statements == 0 && after.reading.sees_all);

    let interval = delta(&before, &after);
    assert_eq!((interval.start, interval.end), (before.reading.taken_at, after.reading.taken_at));
    assert_eq!(interval.events, Events::default());
    let read = usage(&interval, &after, "SELECT premium").unwrap();
    assert_eq!((read.counters.calls, read.counters.rows, read.is_partial), (25.0, 25.0, false));
    assert!(read.counters.shared_hit_blocks >= 25.0 && read.counters.exec_ms > 0.0);
    let change = usage(&interval, &after, "UPDATE quotes").unwrap();
    assert_eq!((change.counters.calls, change.counters.rows), (1.0, 10.0));
    assert!(change.counters.wal_records >= 10.0 && change.counters.wal_bytes > 0.0);
    let sleep = usage(&interval, &after, "pg_sleep").unwrap();
    let ms = sleep.counters.exec_ms;
    assert!(ms >= 30.0, "{ms}");
    assert!(sleep.extremes.max_ms().unwrap() >= 30.0 && sleep.extremes.min_ms().unwrap() >= 30.0);

    // With what is known left out, a text that is new is read all the same.
    client.batch_execute("SELECT 'new' AS new_column").await.unwrap();
    let known: HashSet<_> = after.identities.iter().map(|identity| identity.key).collect();
    let third = snapshot_except(&client, &known).await.unwrap();
    // Other tests' databases on the same server have statements of their own that are new.
    let own = third.identities.iter().filter(|one| one.key.database_oid == third.server.database_oid);
    let texts: Vec<_> = own.filter_map(|identity| identity.text.as_deref()).collect();
    assert!(texts.iter().any(|text| text.contains("new_column")), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("SELECT premium")), "{texts:?}");
    assert_eq!(third.reading.entries.len(), third.identities.len());
}

#[tokio::test]
async fn a_report_leaves_its_own_statements_and_other_databases_out() {
    let (node, database) = database("slow_report");
    node.psql(&database, "CREATE ROLE slow_secret; ALTER ROLE slow_secret PASSWORD 'topsecret'").unwrap();
    let client = connect(node, &database, "postgres").await;
    let before = snapshot(&client).await.unwrap();
    select(&client, 50).await;
    client.batch_execute("SELECT  pg_sleep(0.05) -- a nap\n").await.unwrap();
    client
        .batch_execute("SELECT count(*) FROM generate_series(1, 300000) n GROUP BY n % 100000")
        .await
        .unwrap();
    let other = connect(node, "postgres", "postgres").await;
    other.batch_execute("SELECT 'elsewhere' AS elsewhere").await.unwrap();
    let after = snapshot(&client).await.unwrap();

    let options = ReportOptions { threshold_ms: 50.0, order: Order::Mean, ..ReportOptions::default() };
    let measured = report(&after, &between(&before, &after), &options);
    assert_eq!((measured.basis, measured.recordings, measured.order), (Basis::Interval, 1, Order::Mean));
    let nap = statement(&measured, "pg_sleep").unwrap();
    assert_eq!(nap.text.as_deref(), Some("SELECT pg_sleep($1)"));
    assert!(nap.is_slow && nap.toplevel && nap.calls == 1 && nap.exec_ms_max.unwrap() >= 50.0);
    assert_eq!((nap.role.as_deref(), nap.database.as_deref()), (Some("postgres"), Some(&*database)));
    assert!(measured.statements.iter().all(|statement| statement.is_slow && statement.exec_ms_mean >= 50.0));
    assert!(nap.exec_share > 0.0 && nap.exec_share <= 1.0);
    assert_eq!(nap.trend, None);

    // None is that slow: the costliest by total are told of all the same.
    let options = ReportOptions { threshold_ms: 1e6, order: Order::Calls, ..ReportOptions::default() };
    let quiet = report(&after, &between(&before, &after), &options);
    assert_eq!((quiet.slow_count, quiet.order), (0, Order::Total));
    let totals: Vec<f64> = quiet.statements.iter().map(|statement| statement.exec_ms_total).collect();
    assert!(totals.is_sorted_by(|one, other| one >= other), "{totals:?}");
    let read = statement(&quiet, "SELECT premium").unwrap();
    assert_eq!((read.calls, read.rows_per_call), (50, 1.0));
    let series = statement(&quiet, "generate_series").unwrap();
    assert!(series.temp_bytes > 0, "{series:?}");
    let texts = |report: &SlowReport| serde_json::to_string(report).unwrap();
    assert!(!texts(&quiet).contains("/* pgprime") && !texts(&quiet).contains("elsewhere"));
    assert!(!texts(&quiet).contains("SAVEPOINT attempt; "), "{}", texts(&quiet));
    let everywhere = ReportOptions { databases: Databases::All, limit: 10_000, ..options };
    assert!(texts(&report(&after, &between(&before, &after), &everywhere)).contains("elsewhere"));

    let all = report(&after, &since_reset(&after), &everywhere);
    let has_reset_time = version_major(node) >= 14;
    assert_eq!(all.basis, if has_reset_time { Basis::Totals } else { Basis::TotalsOfUnknownAge });
    assert!(statement(&all, "ALTER ROLE slow_secret").unwrap().text.as_ref().unwrap().contains("'***'"));
    assert!(!texts(&all).contains("topsecret"));
    let page = report_text(&quiet, &TimeZone::UTC);
    assert!(
        page.contains("No statement takes") && page.contains(&format!("query id {}", read.query_id)),
        "{page}"
    );
    assert!(
        page.lines().filter(|line| !line.starts_with("    ")).all(|line| line.chars().count() <= 100),
        "{page}"
    );
    let max = report(
        &after,
        &between(&before, &after),
        &ReportOptions { threshold_max_ms: Some(50.0), threshold_ms: 1e6, ..ReportOptions::default() },
    );
    assert!(statement(&max, "pg_sleep").is_some());
}

#[tokio::test]
async fn a_history_tells_of_yesterday_and_of_trends() {
    let (node, database) = database("slow_history");
    let dir = TempDir::new().unwrap();
    let mut history = History::open(&dir.path().join("history.sqlite"), Retention::default()).unwrap();
    let client = connect(node, &database, "postgres").await;
    select(&client, 10).await;
    let first = snapshot(&client).await.unwrap();
    assert_eq!(record(&mut history, &first, "db:1").unwrap(), None);
    let source = first.source("db:1");
    let nap = "SELECT pg_sleep(premium / 1000.0) FROM quotes WHERE id = $1";
    for _ in 0..5 {
        client.query(nap, &[&2]).await.unwrap();
    }
    select(&client, 20).await;
    let second = snapshot_except(&client, &known(&history, &source).unwrap()).await.unwrap();
    record(&mut history, &second, "db:1").unwrap().unwrap();
    for _ in 0..5 {
        client.query(nap, &[&20]).await.unwrap();
    }
    client.batch_execute("SELECT 'young' AS young FROM pg_sleep(0.02)").await.unwrap();
    let third = snapshot_except(&client, &known(&history, &source).unwrap()).await.unwrap();
    record(&mut history, &third, "db:1").unwrap().unwrap();

    let (from, to) = (first.reading.taken_at, third.reading.taken_at);
    let whole = recorded(&history, &source, from, to).unwrap().unwrap();
    assert_eq!((whole.basis, whole.previous.is_none()), (Basis::History, true));
    assert_eq!((whole.totals.coverage.start, whole.totals.coverage.end), (from, to));
    let options = ReportOptions { threshold_ms: 5.0, ..ReportOptions::default() };
    let told = report(&third, &whole, &options);
    let naps = statement(&told, "pg_sleep(premium").unwrap();
    assert_eq!((naps.calls, naps.rows), (10, 10));
    // The texts of the first snapshot come out of the history.
    let all = report(&third, &whole, &ReportOptions { threshold_ms: 1e6, ..options });
    assert_eq!(statement(&all, "SELECT premium").unwrap().calls, 20);
    assert_eq!(recorded(&history, &third.source("db:2"), from, to).unwrap(), None);
    let nothing = recorded(&history, &source, to, to).unwrap();
    assert_eq!(nothing, None);

    // Both intervals end within one minute and are one row by now: apart they are compared in another file.
    let mut history = History::open(&dir.path().join("apart.sqlite"), Retention::default()).unwrap();
    let minutes_earlier = |snapshot: &Snapshot, minutes: i64| {
        let mut moved = snapshot.clone();
        moved.reading.taken_at =
            snapshot.reading.taken_at.checked_sub(jiff::SignedDuration::from_mins(minutes)).unwrap();
        moved
    };
    let parts = [minutes_earlier(&first, 20), minutes_earlier(&second, 10), third.clone()];
    for part in &parts {
        record(&mut history, part, "db:1").unwrap();
    }
    let period = recorded(&history, &source, parts[1].reading.taken_at, to).unwrap().unwrap();
    assert!(period.previous.is_some());
    let told = report(&third, &period, &options);
    let Some(Trend::Slower { factor, exec_ms_mean_before }) =
        statement(&told, "pg_sleep(premium").unwrap().trend
    else {
        panic!("{told:#?}");
    };
    assert!(factor > 1.25 && exec_ms_mean_before >= 2.0, "{factor} {exec_ms_mean_before}");
    assert_eq!(statement(&told, "young").unwrap().trend, Some(Trend::New));
    assert!(report_text(&told, &TimeZone::UTC).contains("× slower"));
}

#[tokio::test]
async fn resets_restarts_and_crashes_in_between() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let node = cluster.primary();
    node.psql("postgres", SETUP).unwrap();
    let client = connect(node, "postgres", "postgres").await;
    select(&client, 30).await;
    let before = snapshot(&client).await.unwrap();
    let has_reset_time = version_major(node) >= 14;
    let resets = u64::from(has_reset_time);

    // A reset: what was done since it counts, more or less than before.
    client.batch_execute("SELECT pg_stat_statements_reset()").await.unwrap();
    select(&client, 7).await;
    let after_reset = snapshot(&client).await.unwrap();
    let interval = delta(&before, &after_reset);
    assert_eq!((interval.events.resets, interval.events.restarts), (resets, 0));
    let read = usage(&interval, &after_reset, "SELECT premium").unwrap();
    assert_eq!((read.counters.calls, read.is_partial), (7.0, true));
    let told = report(&after_reset, &between(&before, &after_reset), &ReportOptions::default());
    assert_eq!(told.notes.iter().any(|note| note.contains("reset once")), has_reset_time);

    // A restart: the counts go on.
    node.restart(StopMode::Fast).unwrap();
    let client = connect(node, "postgres", "postgres").await;
    select(&client, 5).await;
    let after_restart = snapshot(&client).await.unwrap();
    let interval = delta(&after_reset, &after_restart);
    assert_eq!((interval.events.resets, interval.events.restarts), (0, 1));
    let read = usage(&interval, &after_restart, "SELECT premium").unwrap();
    assert_eq!((read.counters.calls, read.is_partial), (5.0, false));

    // A crash: the counts are lost and begin anew.
    node.kill();
    node.start().unwrap();
    let client = connect(node, "postgres", "postgres").await;
    select(&client, 4).await;
    let after_crash = snapshot(&client).await.unwrap();
    let interval = delta(&after_restart, &after_crash);
    assert_eq!((interval.events.resets, interval.events.restarts), (resets, 1));
    let read = usage(&interval, &after_crash, "SELECT premium").unwrap();
    assert_eq!((read.counters.calls, read.is_partial), (4.0, true));
}

#[tokio::test]
async fn one_statement_forgotten_in_between() {
    let (node, database) = database("slow_forgotten");
    let client = connect(node, &database, "postgres").await;
    select(&client, 9).await;
    let before = snapshot(&client).await.unwrap();
    let entry = before.identities.iter().find(|identity| {
        identity.text.as_ref().is_some_and(|text| text.contains("SELECT premium"))
            && identity.key.database_oid == before.server.database_oid
    });
    let query_id = entry.unwrap().key.query_id;
    let forget = format!("SELECT pg_stat_statements_reset(0, 0, {query_id})");
    client.batch_execute(&forget).await.unwrap();
    let gone = snapshot(&client).await.unwrap();
    let interval = delta(&before, &gone);
    assert!(usage(&interval, &before, "SELECT premium").is_none());
    assert_eq!(interval.events.resets, 0);
    select(&client, 2).await;
    let back = snapshot(&client).await.unwrap();
    let interval = delta(&gone, &back);
    assert_eq!(usage(&interval, &back, "SELECT premium").unwrap().counters.calls, 2.0);
    let interval = delta(&before, &back);
    let read = usage(&interval, &back, "SELECT premium").unwrap();
    assert_eq!((read.counters.calls, read.is_partial), (2.0, true));
    let told = report(&back, &between(&before, &back), &ReportOptions::default());
    // Others on the same server may be forgotten, too.
    assert!(told.notes.iter().any(|note| note.contains("reset meanwhile")), "{:?}", told.notes);

    // Since version 17 a statement says since when it counts: more calls than before do not deceive.
    client.batch_execute(&forget).await.unwrap();
    select(&client, 20).await;
    let more = snapshot(&client).await.unwrap();
    let interval = delta(&back, &more);
    let read = usage(&interval, &more, "SELECT premium").unwrap();
    let expected = if version_major(node) >= 17 { (20.0, true) } else { (18.0, false) };
    assert_eq!((read.counters.calls, read.is_partial), expected);
}

#[tokio::test]
async fn statements_are_dropped_for_want_of_room() {
    let options = ClusterOptions::default().with_setting("pg_stat_statements.max", "100");
    let cluster = Cluster::start(&options).unwrap();
    let node = cluster.primary();
    node.psql("postgres", SETUP).unwrap();
    let client = connect(node, "postgres", "postgres").await;
    select(&client, 50).await;
    client.batch_execute("SELECT 1 AS rare FROM quotes LIMIT 1").await.unwrap();
    let before = snapshot(&client).await.unwrap();
    assert_eq!(before.tracking.entries_max, Some(100));
    select(&client, 50).await;
    for number in 0..300 {
        // Neither names nor values make another statement.
        client.batch_execute(&format!("SELECT 1{}", ", 1".repeat(number))).await.unwrap();
    }
    let after = snapshot(&client).await.unwrap();
    let interval = delta(&before, &after);
    if version_major(node) >= 14 {
        assert!(interval.events.evictions > 0, "{:?}", interval.events);
    }
    assert!(interval.events.vanished > 0, "{:?}", interval.events);
    assert_eq!(interval.events.resets, 0);
    let read = usage(&interval, &after, "SELECT premium").unwrap();
    assert_eq!(read.counters.calls, 50.0, "one that is used often stays");
    assert!(interval.usages.iter().all(|usage| usage.counters.calls >= 1.0));
    let told = report(&after, &between(&before, &after), &ReportOptions::default());
    let words = if version_major(node) >= 14 { "pg_stat_statements.max = 100" } else { "dropped or reset" };
    assert!(told.notes.iter().any(|note| note.contains(words)), "{:?}", told.notes);
}

fn missing<'m>(missing: &'m [Missing], what: &str) -> Option<&'m Missing> {
    missing.iter().find(|missing| missing.what.contains(what))
}

#[tokio::test]
async fn a_monitor_sees_all_and_a_plain_role_its_own() {
    let (node, database) = database("slow_roles");
    node.psql(
        "postgres",
        "CREATE ROLE \"Slow Plain\" LOGIN; CREATE ROLE slow_monitor LOGIN IN ROLE pg_monitor",
    )
    .unwrap();
    let owner = connect(node, &database, "postgres").await;
    select(&owner, 10).await;
    let client = connect(node, &database, "Slow Plain").await;
    client.batch_execute("SELECT 'mine' AS mine").await.unwrap();
    let plain = snapshot(&client).await.unwrap();
    let has = |snapshot: &Snapshot, words: &str| {
        let texts = snapshot.identities.iter().filter_map(|identity| identity.text.as_deref());
        texts.clone().any(|text| text.contains(words))
    };
    assert!(has(&plain, "mine") && !has(&plain, "SELECT premium"));
    assert!(!plain.reading.sees_all && plain.hidden.statements > 0 && plain.hidden.calls >= 10.0);
    let others = missing(&plain.missing, "other roles").unwrap();
    assert_eq!(others.statement.as_deref(), Some("GRANT pg_read_all_stats TO \"Slow Plain\";"));
    assert!(missing(&plain.missing, "reading and writing").is_some(), "track_io_timing is off");

    let monitor = connect(node, &database, "slow_monitor").await;
    let seen = snapshot(&monitor).await.unwrap();
    assert!(seen.reading.sees_all && has(&seen, "SELECT premium") && has(&seen, "mine"));
    assert_eq!((seen.hidden.statements, missing(&seen.missing, "other roles")), (0, None));
    assert!(seen.server.system.is_some());

    // What the plain role did not see is not taken for new.
    let interval = delta(&plain, &seen);
    if version_major(node) < 17 {
        assert!(usage(&interval, &seen, "SELECT premium").is_none());
    }
    let roles: HashSet<_> = seen.identities.iter().filter_map(|identity| identity.role.as_deref()).collect();
    assert!(roles.contains("Slow Plain") && roles.contains("postgres"));

    // The grant that is told of is enough.
    node.psql("postgres", others.statement.as_deref().unwrap()).unwrap();
    assert!(has(&snapshot(&client).await.unwrap(), "SELECT premium"));
}

async fn not_measured(client: &Client) -> Vec<Missing> {
    match snapshot(client).await.unwrap_err() {
        SlowError::NotMeasured { missing } => missing,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_extension_that_is_not_created_or_elsewhere_or_forbidden() {
    let cluster = CLUSTER.cluster();
    let node = cluster.primary();
    let database = cluster.test_database("slow_extension").unwrap();
    let client = connect(node, &database, "postgres").await;
    let steps = not_measured(&client).await;
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!(steps[0].statement.as_deref(), Some("CREATE EXTENSION pg_stat_statements;"));
    assert!(steps[0].why.contains(&database), "{}", steps[0].why);
    // The connection goes on, and the statement is all that is needed.
    client.batch_execute(steps[0].statement.as_deref().unwrap()).await.unwrap();
    snapshot(&client).await.unwrap();
    client.batch_execute("DROP EXTENSION pg_stat_statements").await.unwrap();

    // In a schema with a name to be quoted, which is not on the path.
    client
        .batch_execute(
            "CREATE SCHEMA \"My \"\"Stats\"; CREATE EXTENSION pg_stat_statements SCHEMA \"My \"\"Stats\"",
        )
        .await
        .unwrap();
    let seen = snapshot(&client).await.unwrap();
    assert!(!seen.reading.entries.is_empty());
    node.psql("postgres", "CREATE ROLE slow_outsider LOGIN").unwrap();
    let outsider = connect(node, &database, "slow_outsider").await;
    let steps = not_measured(&outsider).await;
    let grant = steps[0].statement.clone().unwrap();
    node.psql(&database, &grant).unwrap();
    snapshot(&outsider).await.unwrap();
}

#[tokio::test]
async fn an_extension_that_is_not_loaded() {
    let options = ClusterOptions::default().with_setting("shared_preload_libraries", "auto_explain");
    let cluster = Cluster::start(&options).unwrap();
    let node = cluster.primary();
    let client = connect(node, "postgres", "postgres").await;
    let steps = not_measured(&client).await;
    let statements: Vec<_> = steps.iter().filter_map(|step| step.statement.as_deref()).collect();
    assert_eq!(
        statements,
        [
            "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'pg_stat_statements';",
            "CREATE EXTENSION pg_stat_statements;",
        ]
    );
    assert!(steps[0].why.contains("restarts the server"), "{}", steps[0].why);
    node.psql("postgres", "CREATE EXTENSION pg_stat_statements").unwrap();
    let steps = not_measured(&client).await;
    assert_eq!(steps.len(), 1, "created but not loaded: {steps:?}");
    node.psql("postgres", "CREATE ROLE blind LOGIN").unwrap();
    let blind = not_measured(&connect(node, "postgres", "blind").await).await;
    assert!(blind[0].why.contains("does not see which libraries"), "{}", blind[0].why);

    // The steps lead there. What the cluster's own file says comes before ALTER SYSTEM has its say.
    node.psql("postgres", statements[0]).unwrap();
    node.restart(StopMode::Fast).unwrap();
    let client = connect(node, "postgres", "postgres").await;
    let loaded = node.psql("postgres", "SHOW shared_preload_libraries").unwrap();
    assert_eq!(loaded, "auto_explain, pg_stat_statements");
    snapshot(&client).await.unwrap();
}

#[tokio::test]
async fn settings_that_hide_something_are_told_of() {
    let (node, database) = database("slow_settings");
    let client = connect(node, &database, "postgres").await;
    client.batch_execute("SET pg_stat_statements.track = 'none'; SET track_io_timing = on").await.unwrap();
    let seen = snapshot(&client).await.unwrap();
    assert!(missing(&seen.missing, "statements").unwrap().why.contains("track is none"));
    assert_eq!(missing(&seen.missing, "reading and writing"), None);
    let options = ReportOptions { order: Order::Planning, ..ReportOptions::default() };
    let told = report(&seen, &since_reset(&seen), &options);
    assert!(missing(&told.missing, "planning").is_some());
    client
        .batch_execute("SET pg_stat_statements.track = 'top'; SET pg_stat_statements.track_planning = on")
        .await
        .unwrap();
    let before = snapshot(&client).await.unwrap();
    client.batch_execute("SELECT premium, 'planned' AS planned FROM quotes").await.unwrap();
    let after = snapshot(&client).await.unwrap();
    let told = report(&after, &between(&before, &after), &options);
    assert_eq!(missing(&told.missing, "planning"), None);
    let planned = statement(&told, "planned").unwrap();
    assert!(planned.plans == 1 && planned.plan_ms_total > 0.0 && planned.io_ms.is_some(), "{planned:?}");
}

#[tokio::test]
async fn a_query_for_each_row_of_another_is_hinted_at() {
    let (node, database) = database("slow_repeats");
    let client = connect(node, &database, "postgres").await;
    let before = snapshot(&client).await.unwrap();
    let list = client.prepare("SELECT id FROM quotes WHERE id <= $1 ORDER BY id").await.unwrap();
    let one = client.prepare(SELECT).await.unwrap();
    for _ in 0..12 {
        for row in client.query(&list, &[&100]).await.unwrap() {
            client.query(&one, &[&row.get::<_, i32>(0)]).await.unwrap();
        }
    }
    let after = snapshot(&client).await.unwrap();
    let pooler = PoolerStatements {
        since: None,
        statements: vec![PoolerStatement {
            text: "select premium from quotes where id = 42".to_owned(),
            database: database.clone(),
            role: "postgres".to_owned(),
            figures: PoolerFigures { calls: 1_200, exec_ms_p99: 3.0, ..PoolerFigures::default() },
        }],
        ..PoolerStatements::default()
    };
    let options = ReportOptions { pooler: Some(&pooler), ..ReportOptions::default() };
    let told = report(&after, &between(&before, &after), &options);
    assert_eq!(told.repeats.len(), 1, "{:#?}", told.repeats);
    let hint = &told.repeats[0];
    assert_eq!((hint.calls, hint.parent_calls, hint.parent_rows), (1_200, 12, 1_200));
    assert_eq!((hint.rows_per_call, hint.calls_per_parent_row), (1.0, 1.0));
    assert!(hint.text.starts_with("SELECT premium") && hint.parent_text.contains("ORDER BY"));
    let page = report_text(&told, &TimeZone::UTC);
    let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("weak hint") && words.contains("p99 3 ms"), "{page}");
    let read = statement(&told, "SELECT premium").unwrap();
    assert_eq!(read.pooler.as_ref().unwrap().calls, 1_200);
    assert_eq!(statement(&told, "ORDER BY").unwrap().pooler, None);
    // What the pooler has seen is no hint any more.
    let seen = PoolerRepeat {
        text: "SELECT premium FROM quotes WHERE id = $1".to_owned(),
        parent_text: Some("SELECT id FROM quotes WHERE id <= $1 ORDER BY id".to_owned()),
        database: database.clone(),
        role: "postgres".to_owned(),
        bursts: 12,
        longest: 100,
        executions: 1_200,
        exec_ms: 60.0,
    };
    let elsewhere = PoolerRepeat { database: "another".to_owned(), ..seen.clone() };
    let pooler = PoolerStatements { repeats: vec![elsewhere, seen.clone()], ..pooler };
    let options = ReportOptions { pooler: Some(&pooler), ..ReportOptions::default() };
    let told = report(&after, &between(&before, &after), &options);
    assert_eq!((told.repeats.len(), &told.pooler_repeats), (0, &vec![seen]));
    let page = report_text(&told, &TimeZone::UTC);
    let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("(N+1)") && words.contains("12 times, 100 calls in a row"), "{page}");
}

#[tokio::test]
async fn a_lost_connection_is_told_apart() {
    let (node, database) = database("slow_lost");
    let client = connect(node, &database, "postgres").await;
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    node.psql("postgres", &format!("SELECT pg_terminate_backend({pid})")).unwrap();
    let is_there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    while node.psql("postgres", &is_there).unwrap() != "0" {}
    let error = snapshot(&client).await.unwrap_err();
    assert!(error.is_connection_lost() && error.is_transient(), "{error}");
}
