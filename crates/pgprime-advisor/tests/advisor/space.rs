//! Space and bloat, against tables whose waste is known.

mod estimates;
mod findings;
mod locks;

use pgprime_advisor::space::{Finding, FindingKind, Measure, SpaceOptions, SpaceReport, WasteFigure, report};
use pgprime_cluster::{ClusterOptions, Node, SharedCluster};
use tokio_postgres::{Client, Config, NoTls};

/// Autovacuum stays out of the way: what it does and when is not the tests' to say.
static CLUSTER: SharedCluster =
    SharedCluster::new(|| ClusterOptions::default().with_setting("autovacuum", "off"));

pub(crate) async fn connect(node: &Node, database: &str, role: &str) -> Client {
    let mut config: Config = node.url(database).parse().unwrap();
    let (client, connection) = config.user(role).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A database of its own for a test.
pub(crate) fn database(prefix: &str) -> (&'static Node, String) {
    let cluster = CLUSTER.cluster();
    (cluster.primary(), cluster.test_database(prefix).unwrap())
}

/// Each step in a session of its own: what a session counts is known to the server at its end at the latest, and a vacuum
/// in between would have it counted twice.
pub(crate) fn steps(node: &Node, database: &str, steps: &[&str]) {
    let others = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND backend_type = 'client backend'"
    );
    let sessions = || node.psql("postgres", &others).unwrap().parse::<u32>().unwrap();
    for sql in steps {
        let before = sessions();
        node.psql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        // A session's counts are known once it is gone, which may be after psql has ended.
        while sessions() > before {
            std::thread::yield_now();
        }
        node.wait_for_statistics(database).unwrap();
    }
}

/// Small enough for tables that a test can fill.
fn options() -> SpaceOptions {
    SpaceOptions {
        waste_bytes_min: 256 << 10,
        estimate_bytes_min: 128 << 10,
        measure: Measure { relations_max: 0, ..Measure::default() },
        ..SpaceOptions::default()
    }
}

fn measuring() -> SpaceOptions {
    let measure = Measure { relations_max: 100, time_limit: std::time::Duration::from_secs(60) };
    SpaceOptions { measure, ..options() }
}

async fn look(client: &Client, options: &SpaceOptions) -> SpaceReport {
    report(client, options).await.unwrap()
}

#[track_caller]
fn estimated(report: &SpaceReport, name: &str) -> WasteFigure {
    let table = report.tables.iter().find(|table| table.name == name).unwrap();
    table.waste.estimated.unwrap_or_else(|| panic!("{name}: {:?}", table.waste))
}

#[track_caller]
fn estimated_index(report: &SpaceReport, qualified: &str) -> WasteFigure {
    let index = report.indexes.iter().find(|index| index.qualified == qualified).unwrap();
    index.waste.estimated.unwrap_or_else(|| panic!("{qualified}: {:?}", index.waste))
}

fn find<'a>(report: &'a SpaceReport, kind: FindingKind, object: &str) -> Option<&'a Finding> {
    report.findings.iter().find(|finding| finding.kind == kind && finding.object == object)
}

/// Statements of a finding that SQL can run, each run.
fn run_remedies(node: &Node, database: &str, finding: &Finding) {
    for remedy in finding.remedies.iter().filter(|remedy| !remedy.is_shell) {
        for statement in remedy.statement.split_inclusive("; ") {
            node.psql(database, statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
    node.wait_for_statistics(database).unwrap();
}
