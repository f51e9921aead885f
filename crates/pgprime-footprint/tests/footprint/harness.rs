//! A database with one of everything, and its schema as it was read.

use std::collections::BTreeSet;

use pgprime_cluster::{ClusterOptions, SharedCluster};
use pgprime_footprint::{Control, Footprint, NotKeptReason, Schema, Writes};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, Config, NoTls};

static CLUSTER: SharedCluster = SharedCluster::new(|| {
    ClusterOptions::default().with_setting("autovacuum", "off").with_setting("fsync", "off")
});

/// Read by all tests, written by none.
static SHARED: OnceCell<(String, Schema)> = OnceCell::const_new();

pub(crate) const SCHEMA: &str = include_str!("schema.sql");

/// A database of one's own.
pub(crate) async fn database(prefix: &str) -> String {
    let name = CLUSTER.cluster().test_database(prefix).unwrap();
    let client = connect(&name, "postgres").await;
    client.batch_execute(SCHEMA).await.unwrap();
    client.batch_execute(&format!("ALTER DATABASE {name} SET search_path = ins, public")).await.unwrap();
    name
}

pub(crate) async fn connect(database: &str, role: &str) -> Client {
    let mut config: Config = CLUSTER.cluster().primary().url(database).parse().unwrap();
    let (client, connection) = config.user(role).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The schema of the database with one of everything, as the role that owns all of it.
pub(crate) async fn schema() -> Schema {
    shared().await.1.clone()
}

pub(crate) async fn shared() -> &'static (String, Schema) {
    SHARED
        .get_or_init(|| async {
            let name = database("footprint").await;
            let schema = Schema::load(&connect(&name, "postgres").await).await.unwrap();
            (name, schema)
        })
        .await
}

/// Tables without the schema most are in, in one line.
pub(crate) fn tables(tables: &BTreeSet<String>) -> String {
    let short = tables.iter().map(|table| table.strip_prefix("ins.").unwrap_or(table));
    short.collect::<Vec<_>>().join(" ")
}

/// `-` for nothing, `*` for anything.
pub(crate) fn writes(footprint: &Footprint) -> String {
    match &footprint.writes {
        Writes::Nothing => "-".to_owned(),
        Writes::Tables(written) => tables(written),
        Writes::Anything { .. } => "*".to_owned(),
    }
}

/// Reasons against keeping with what they are about; nothing if it may be kept.
pub(crate) fn against(footprint: &Footprint) -> String {
    let reasons = footprint.kept.clone().err().unwrap_or_default();
    let words = reasons.iter().map(|not| match not.object.as_str() {
        "" => format!("{:?}", not.reason),
        object => format!("{:?} {object}", not.reason),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Reads and reasons against keeping; it must write nothing.
pub(crate) fn check_reads(schema: &Schema, cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, reads, reasons) in cases {
        let footprint = schema.footprint(sql);
        let found = (tables(&footprint.reads), against(&footprint));
        if found != ((*reads).to_owned(), (*reasons).to_owned()) || footprint.writes != Writes::Nothing {
            wrong.push(format!(
                "{sql}\n  expected {reads} | {reasons}\n  found    {} | {} | {:?}",
                found.0, found.1, footprint.writes
            ));
        }
        assert_eq!(footprint.control, Control::None, "{sql}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is written; it must not be kept.
pub(crate) fn check_writes(schema: &Schema, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, written) in cases {
        let footprint = schema.footprint(sql);
        if writes(&footprint) != *written {
            wrong.push(format!(
                "{sql}\n  expected {written}\n  found    {} {:?}",
                writes(&footprint),
                footprint.writes
            ));
        }
        assert!(footprint.kept.is_err(), "{sql}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(crate) fn has_reason(footprint: &Footprint, reason: NotKeptReason) -> bool {
    footprint.kept.as_ref().is_err_and(|reasons| reasons.iter().any(|not| not.reason == reason))
}
