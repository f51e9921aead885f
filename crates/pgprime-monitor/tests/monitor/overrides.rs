//! Settings that databases, roles and connections have of their own: the checklist judges what an application's new session
//! has, and each of its fixes takes effect.

use std::time::Duration;

use pgprime_capacity::postgres::Storage;
use pgprime_cluster::{Cluster, ClusterOptions, Node};
use pgprime_monitor::checklist::{
    ChecklistReport, FixKind, GatherOptions, Item, Verdict, check, gather, text,
};
use pgprime_monitor::health::{Direct, Look, Settings};
use pgprime_planner::hardware::Hardware;
use tokio_postgres::{Client, NoTls};

const PARALLEL: &str = "database.parallel_query";
const WORK_MEM: &str = "database.work_mem";
const RANDOM_PAGE_COST: &str = "database.random_page_cost";
/// As the admin pool says it when it connects.
const POOL: &str = "-c work_mem=640MB -c max_parallel_workers_per_gather=0";

/// Everything is as it is to be for the machine below; the libraries are others than pg_stat_statements.
fn options() -> ClusterOptions {
    ClusterOptions::default()
        .with_setting("shared_preload_libraries", "auto_explain")
        .with_setting("max_parallel_workers_per_gather", "2")
        .with_setting("random_page_cost", "1.1")
}

/// A connection of a role, with options or without.
async fn connect(node: &Node, role: &str, options: &str) -> Client {
    let mut config: tokio_postgres::Config = node.url("postgres").parse().unwrap();
    config.user(role).options(options);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn report(client: &Client, fresh: Option<&Client>) -> ChecklistReport {
    let machine = Hardware { cores: Some(4), memory_bytes: Some(1 << 30), storage: Some(Storage::Ssd) };
    check(&gather(client, &GatherOptions { machine, fresh, ..GatherOptions::default() }).await.unwrap())
}

fn item<'a>(report: &'a ChecklistReport, id: &str) -> &'a Item {
    report.items.iter().find(|item| item.id == id).unwrap()
}

#[track_caller]
fn expect(report: &ChecklistReport, verdict: Verdict, ids: &[&str]) {
    for id in ids {
        assert_eq!(item(report, id).verdict, verdict, "{}", text(report));
    }
}

/// As a person runs it: each statement by itself.
fn run(node: &Node, sql: &str) {
    for line in sql.lines() {
        node.psql("postgres", line).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }
}

#[tokio::test]
async fn what_an_application_gets_is_judged_and_each_fix_takes_effect() {
    let cluster = Cluster::start(&options()).unwrap();
    let node = cluster.primary();
    run(node, "CREATE ROLE watcher LOGIN;\nGRANT pg_monitor TO watcher;\nCREATE ROLE app LOGIN;");
    options_of_a_pool_are_put_aside(node).await;
    overrides_are_taken_back(node).await;
    libraries_stay(node).await;
}

async fn options_of_a_pool_are_put_aside(node: &Node) {
    let (pooled, fresh) = (connect(node, "watcher", POOL).await, connect(node, "watcher", "").await);
    expect(&report(&pooled, Some(&fresh)).await, Verdict::Met, &[PARALLEL, WORK_MEM, RANDOM_PAGE_COST]);
    // Without another connection nobody tells this role, but whom the server trusts.
    let alone = report(&pooled, None).await;
    expect(&alone, Verdict::CannotTell, &[PARALLEL, WORK_MEM]);
    expect(&report(&connect(node, "postgres", POOL).await, None).await, Verdict::Met, &[PARALLEL, WORK_MEM]);
    let missing = alone.missing.iter().find(|missing| missing.what.contains("work_mem of other sessions"));
    run(node, missing.unwrap().statement.as_deref().unwrap());
    expect(&report(&pooled, None).await, Verdict::Met, &[PARALLEL, WORK_MEM]);
    run(node, "REVOKE EXECUTE ON FUNCTION pg_show_all_file_settings() FROM watcher;");
}

async fn overrides_are_taken_back(node: &Node) {
    let old = connect(node, "watcher", "").await;
    for (scope, id, name, value, said, fix) in [
        (
            "DATABASE postgres",
            PARALLEL,
            "max_parallel_workers_per_gather",
            "0",
            "is 0 rather than 2 in this database",
            "ALTER DATABASE",
        ),
        ("DATABASE postgres", WORK_MEM, "work_mem", "'640MB'", "640 MiB", "ALTER DATABASE"),
        ("ROLE ALL", RANDOM_PAGE_COST, "random_page_cost", "9", "for all roles", "ALTER ROLE ALL"),
        ("ROLE app", RANDOM_PAGE_COST, "random_page_cost", "9", "for the role app", "ALTER ROLE"),
        (
            "ROLE app IN DATABASE postgres",
            PARALLEL,
            "max_parallel_workers_per_gather",
            "0",
            "for the role app in this database",
            "IN DATABASE",
        ),
        ("ROLE watcher", RANDOM_PAGE_COST, "random_page_cost", "9", "for the role watcher", "ALTER ROLE"),
    ] {
        run(node, &format!("ALTER {scope} SET {name} = {value};"));
        // A connection that was there before sees the change in the catalog.
        let fresh = connect(node, "watcher", "").await;
        for seen_by in [&fresh, &old] {
            let found = report(seen_by, None).await;
            let item = item(&found, id);
            assert!(item.verdict == Verdict::NotMet && item.evidence.contains(said), "{scope}: {item:?}");
            let sql = item.fix.as_ref().unwrap();
            assert!(sql.kind == FixKind::Sql && sql.text.contains(fix), "{scope}: {item:?}");
        }
        let fix = item(&report(&fresh, None).await, id).fix.clone().unwrap();
        run(node, &fix.text);
        let mended = report(&connect(node, "watcher", "").await, None).await;
        expect(&mended, Verdict::Met, &[id]);
        // Superusers see the configuration files, and need nobody's new connection.
        expect(&report(&connect(node, "postgres", POOL).await, None).await, Verdict::Met, &[id]);
        run(node, &format!("ALTER {scope} RESET {name};"));
    }
}

/// What is said to load pg_stat_statements keeps what is loaded.
async fn libraries_stay(node: &Node) {
    run(node, "CREATE EXTENSION pg_stat_statements;");
    for (role, statement) in [
        ("watcher", "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'pg_stat_statements';"),
        ("app", "GRANT pg_monitor TO app;"),
    ] {
        let url = node.url("postgres").replace("postgres@", &format!("{role}@"));
        let mut look = Look::new(std::sync::Arc::new(Direct::new(&url, Duration::from_secs(5))));
        let looked = look.take(&Settings::default()).await;
        let report = looked.report(&looked.evidence(None), &Settings::default());
        look.remember(&looked);
        let missing = report.missing.iter().find(|missing| missing.what == "times of statements");
        assert_eq!(missing.unwrap().statement.as_deref(), Some(statement), "{:?}", report.missing);
    }
}
