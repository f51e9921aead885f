//! The whole review.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use tokio_postgres::Client;

use super::catalog::{self, Index};
use super::finding::{Confidence, IndexFinding, IndexProblem};
use super::foreign_keys::{self, ForeignKey, supports, without_index};
use super::invalid::invalid;
use super::options::ReviewOptions;
use super::overlap::overlap;
use super::unused::{Counting, unused};
use crate::Missing;
use crate::space::units::ago;
use crate::space::{self, IndexSpace, Measured, Server, TableSpace, Wanted};
use pgprime_readonly::ReadError;
use pgprime_readonly::{Session, column, count};

/// What is to be said of a database's indexes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IndexReview {
    /// The server, and who asked.
    pub server: Server,
    /// How long scans have been counted.
    pub statistics: StatisticsAge,
    /// Servers that follow this one and may serve reads, those that are known but not connected with them.
    pub replicas: u64,
    /// Indexes that were looked at.
    pub indexes: u64,
    /// What was found, the most severe first.
    pub findings: Vec<IndexFinding>,
    /// Bytes that all findings together would free.
    pub freed_bytes: u64,
    /// Relations that another session has locked, so that they could not be looked at, as SQL writes them.
    pub locked: Vec<String>,
    /// What could not be seen.
    pub missing: Vec<Missing>,
}

/// How long scans have been counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StatisticsAge {
    /// Seconds.
    pub seconds: f64,
    /// Since what.
    pub since: StatisticsSince,
}

/// Since what scans are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatisticsSince {
    /// Since statistics were reset.
    Reset,
    /// They were never reset, and are at least as old as the server's uptime.
    ServerStart,
}

/// Reviews the indexes of the database that the client is connected to.
///
/// The connection must not be in a transaction: its own is begun here, read-only, and rolled back at the end. If this
/// future is dropped before its end, close the connection. An ordinary role is enough; what it may not see is in
/// [`IndexReview::missing`].
///
/// # Errors
/// [`ReadError`] when the connection fails or the server is older than version 13.
pub async fn review(client: &Client, options: &ReviewOptions) -> Result<IndexReview, ReadError> {
    let session = Session::begin(client, options.space.timeouts()).await?;
    let outcome = look(&session, options).await;
    session.end(outcome).await
}

async fn look(session: &Session<'_>, options: &ReviewOptions) -> Result<IndexReview, ReadError> {
    let server = Server::identify(session).await?;
    let (statistics, replicas) = statistics(session).await?;
    let Measured { relations, mut locked, mut missing, .. } =
        space::relations(session, &server, &options.space, Wanted::Indexes).await?;
    let indexes = catalog::read(session, &mut locked).await?;
    let keys = foreign_keys::read(session).await?;
    let age = Duration::try_from_secs_f64(statistics.seconds).unwrap_or_default();
    let counting = Counting { age, is_shared: replicas > 0 || server.in_recovery };
    let mut findings = judge(&indexes, &keys, counting, options);
    findings.extend(
        keys.iter()
            .filter_map(|key| without_index(key, &indexes, table_bytes(key, &relations.tables), options)),
    );
    findings.extend(bloated(&relations.indexes, &findings, options));
    findings.sort_by(|a, b| {
        let rank = |finding: &IndexFinding| (finding.severity, finding.confidence, finding.freed_bytes);
        rank(b).cmp(&rank(a)).then_with(|| (&a.table, &a.index).cmp(&(&b.table, &b.index)))
    });
    missing.extend(locked.missing());
    missing.extend(elsewhere(&server, replicas));
    missing.extend(too_new(statistics, options));
    Ok(IndexReview {
        statistics,
        replicas,
        indexes: indexes.len() as u64,
        freed_bytes: findings.iter().filter_map(|finding| finding.freed_bytes).sum(),
        findings,
        locked: locked.names(),
        missing,
        server,
    })
}

async fn statistics(session: &Session<'_>) -> Result<(StatisticsAge, u64), ReadError> {
    let step = "ask since when scans are counted";
    let row = session.row(step, include_str!("../../sql/index_statistics.sql")).await?;
    let reset: Option<f64> = column(&row, step, "reset_seconds")?;
    let uptime: f64 = column(&row, step, "uptime_seconds")?;
    let age = match reset {
        Some(seconds) => StatisticsAge { seconds: seconds.max(0.0), since: StatisticsSince::Reset },
        None => StatisticsAge { seconds: uptime.max(0.0), since: StatisticsSince::ServerStart },
    };
    Ok((age, count(&row, step, "replicas")?))
}

/// Invalid, duplicate, redundant and unused ones. An index has one finding at most.
fn judge(
    indexes: &[Index],
    keys: &[ForeignKey],
    counting: Counting,
    options: &ReviewOptions,
) -> Vec<IndexFinding> {
    let mut findings: Vec<IndexFinding> = indexes.iter().filter_map(invalid).collect();
    let overlap = overlap(indexes, options.index_bytes_min);
    let stays = |index: &&Index| !overlap.dropped.contains(&index.oid);
    for index in indexes.iter().filter(stays) {
        let scans = index.scans + overlap.moved_scans.get(&index.oid).copied().unwrap_or(0);
        // A key's only support is used when a parent goes, which may be seldom, and missed then.
        let is_only_support = |key: &ForeignKey| {
            supports(index, key)
                && !indexes.iter().filter(stays).any(|other| other.oid != index.oid && supports(other, key))
        };
        if !keys.iter().any(is_only_support) {
            findings.extend(unused(index, scans, counting, options));
        }
    }
    findings.extend(overlap.findings);
    findings
}

/// The size of a key's table, of a partitioned one that of its partitions.
fn table_bytes(key: &ForeignKey, tables: &[TableSpace]) -> u64 {
    let is_part = |table: &&TableSpace| {
        table.oid == key.table_oid || table.partition_of.as_deref() == Some(key.table.as_str())
    };
    tables.iter().filter(is_part).map(|table| table.heap_bytes).sum()
}

/// Those with waste that stay: what is to be dropped need not be built anew.
fn bloated(indexes: &[IndexSpace], findings: &[IndexFinding], options: &ReviewOptions) -> Vec<IndexFinding> {
    let named: HashMap<&str, IndexProblem> =
        findings.iter().filter_map(|finding| Some((finding.index.as_deref()?, finding.problem))).collect();
    let of_index = |index: &IndexSpace| {
        let found = space::index_bloat(&options.space, index)?;
        let is_measured = index.waste.measured.is_some();
        Some(IndexFinding {
            problem: IndexProblem::Bloated,
            severity: found.severity,
            confidence: if is_measured { Confidence::High } else { Confidence::Medium },
            index: Some(index.qualified.clone()),
            table: index.table.clone(),
            covered_by: None,
            reason: found.summary,
            remedies: found.remedies,
            undo: None,
            freed_bytes: found.wasted_bytes,
            scans: None,
        })
    };
    indexes.iter().filter(|index| !named.contains_key(&*index.qualified)).filter_map(of_index).collect()
}

/// Scans that are counted on other servers.
fn elsewhere(server: &Server, replicas: u64) -> Option<Missing> {
    let what = "scans on other servers".to_owned();
    if server.in_recovery {
        let why = "this server follows another one: its counts are those of reads here alone, and statements have to be \
                   run on the other";
        return Some(Missing { what, why: why.to_owned(), statement: None });
    }
    (replicas > 0).then(|| Missing {
        what,
        why: format!(
            "{replicas} replicas count the scans of their own reads: review there before an index goes"
        ),
        statement: Some(
            "SELECT indexrelid::regclass, idx_scan FROM pg_stat_user_indexes WHERE idx_scan > 0;".to_owned(),
        ),
    })
}

fn too_new(statistics: StatisticsAge, options: &ReviewOptions) -> Option<Missing> {
    (statistics.seconds < options.statistics_age_min.as_secs_f64()).then(|| Missing {
        what: "which indexes are unused".to_owned(),
        why: format!(
            "statistics are kept for {} only; {} are needed to tell",
            ago(Some(statistics.seconds)),
            ago(Some(options.statistics_age_min.as_secs_f64()))
        ),
        statement: None,
    })
}
