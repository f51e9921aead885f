//! What the server counts: transactions, blocks, errors, checkpoints, ages of ids.

use serde::{Deserialize, Serialize};
use tokio_postgres::{Error, Row};

use super::section::Section;
use super::server::Server;
use super::session::{Session, count, get, known_count};
use crate::health::down::Down;
use pgprime_readonly::Missing;

/// What a database has counted since its statistics began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Transactions committed.
    pub commits: u64,
    /// Transactions rolled back.
    pub rollbacks: u64,
    /// Blocks found in memory.
    pub blocks_hit: u64,
    /// Blocks asked of the operating system.
    pub blocks_read: u64,
    /// Deadlocks.
    pub deadlocks: u64,
    /// Statements of a replica that replay has cancelled.
    pub conflicts: u64,
    /// Bytes of temporary files.
    pub temp_bytes: u64,
    /// Damaged blocks in all databases; `None` where there are no checksums.
    pub checksum_failures: Option<u64>,
    /// When the statistics began, in seconds since 1970; `None`: never reset.
    pub reset_s: Option<f64>,
}

/// Checkpoints since the statistics began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoints {
    /// By the clock.
    pub timed: u64,
    /// Because of much WAL, or asked for.
    pub requested: u64,
    /// When the statistics began, in seconds since 1970.
    pub reset_s: Option<f64>,
}

/// How old the ids of a database are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseIds {
    /// Its name.
    pub name: String,
    /// The age of its oldest transaction id.
    pub transaction_age: u64,
    /// The age of its oldest multixact id.
    pub multixact_age: u64,
    /// Whether anybody may connect to it: `template0` takes nobody.
    pub allows_connections: bool,
}

pub(super) async fn read(session: &Session<'_>) -> Result<Section<Counters>, Down> {
    let what = "what the database has counted";
    let sql = include_str!("../../../sql/health_counters.sql");
    let parse = |rows: &[Row]| rows.first().map(counters).transpose();
    let found = session.section(what, sql, &[], parse).await?;
    Ok(found.and_then(|found| found.ok_or_else(|| nothing(what))))
}

fn counters(row: &Row) -> Result<Counters, Error> {
    Ok(Counters {
        commits: count(row, "commits")?,
        rollbacks: count(row, "rollbacks")?,
        blocks_hit: count(row, "blocks_hit")?,
        blocks_read: count(row, "blocks_read")?,
        deadlocks: count(row, "deadlocks")?,
        conflicts: count(row, "conflicts")?,
        temp_bytes: count(row, "temp_bytes")?,
        checksum_failures: known_count(row, "checksum_failures")?,
        reset_s: get(row, "reset_s")?,
    })
}

pub(super) async fn checkpoints(
    session: &Session<'_>,
    server: &Server,
) -> Result<Section<Checkpoints>, Down> {
    let what = "checkpoints";
    let sql = match server.version_major {
        ..=16 => include_str!("../../../sql/health_checkpoints_16.sql"),
        _ => include_str!("../../../sql/health_checkpoints_17.sql"),
    };
    let one = |row: &Row| {
        let (timed, requested) = (count(row, "timed")?, count(row, "requested")?);
        Ok(Checkpoints { timed, requested, reset_s: get(row, "reset_s")? })
    };
    let found = session.section(what, sql, &[], |rows| rows.first().map(one).transpose()).await?;
    Ok(found.and_then(|found| found.ok_or_else(|| nothing(what))))
}

pub(super) async fn ids(session: &Session<'_>) -> Result<Section<Vec<DatabaseIds>>, Down> {
    let sql = include_str!("../../../sql/health_ids.sql");
    let one = |row: &Row| {
        let (transaction_age, multixact_age) = (count(row, "transaction_age")?, count(row, "multixact_age")?);
        let (name, allows_connections) = (get(row, "name")?, get(row, "allows_connections")?);
        Ok(DatabaseIds { name, transaction_age, multixact_age, allows_connections })
    };
    session.section("ages of transaction ids", sql, &[], |rows| rows.iter().map(one).collect()).await
}

fn nothing(what: &str) -> Missing {
    Missing { what: what.to_owned(), why: "the server has no statistics of it".to_owned(), statement: None }
}
