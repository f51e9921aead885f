//! Measuring with pgstattuple what the estimate finds, or cannot tell.

use std::time::Instant;

use tokio_postgres::types::Type;

use super::locked::Locked;
use super::options::SpaceOptions;
use super::relations::{IndexSpace, Relations, TableSpace};
use super::reloptions::RelOptions;
use super::server::Server;
use super::waste::{NoEstimate, Waste, WasteFigure};
use crate::Missing;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Attempt, Session, column};

const WHAT: &str = "measured waste";
const OUT_OF_TIME: &str = "the time for measuring was used up";

/// What is to be measured.
#[derive(Clone, Copy)]
enum Candidate {
    Table(usize),
    Index(usize),
}

/// Which relations are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    TablesAndIndexes,
    Indexes,
}

/// Measures those relations that have the most to gain, as far as limits and privileges go.
pub(crate) async fn measure(
    session: &Session<'_>,
    server: &Server,
    options: &SpaceOptions,
    wanted: Wanted,
    relations: &mut Relations,
    locked: &Locked,
) -> Result<Option<Missing>, ReadError> {
    if options.measure.relations_max == 0 {
        return Ok(None);
    }
    let mut candidates = candidates(relations, options, wanted);
    if candidates.is_empty() {
        return Ok(None);
    }
    let Some(schema) = server.pgstattuple_schema.as_deref().filter(|_| server.may_measure) else {
        return Ok(Some(not_possible(server)));
    };
    candidates.truncate(options.measure.relations_max);
    let deadline = Instant::now() + options.measure.time_limit;
    let measuring = Measuring { session, server, schema, deadline, locked };
    for candidate in candidates {
        match candidate {
            Candidate::Table(at) => measuring.table(&mut relations.tables[at]).await?,
            Candidate::Index(at) => measuring.index(&mut relations.indexes[at]).await?,
        }
    }
    Ok(None)
}

/// What would be reported, and what may be, the estimate not being there to tell; the most to gain first.
fn candidates(relations: &Relations, options: &SpaceOptions, wanted: Wanted) -> Vec<Candidate> {
    let mut found: Vec<(u64, Candidate)> = Vec::new();
    let gain = |waste: &Waste, bytes: u64| match (&waste.estimated, &waste.not_estimated) {
        (Some(figure), _) => (figure.percent >= options.waste_percent_min).then_some(figure.bytes),
        (None, Some(NoEstimate::NeverAnalyzed | NoEstimate::NotPermitted | NoEstimate::RowSecurity)) => {
            Some(bytes)
        }
        (None, Some(NoEstimate::ColumnsWithoutStatistics { .. })) => Some(bytes),
        (None, _) => None,
    };
    let mut add = |gain: Option<u64>, candidate| {
        found.extend(gain.filter(|bytes| *bytes >= options.waste_bytes_min).map(|bytes| (bytes, candidate)));
    };
    if wanted == Wanted::TablesAndIndexes {
        for (at, table) in relations.tables.iter().enumerate() {
            add(gain(&table.waste, table.heap_bytes + table.toast_bytes), Candidate::Table(at));
        }
    }
    for (at, index) in relations.indexes.iter().enumerate() {
        add(gain(&index.waste, index.bytes), Candidate::Index(at));
    }
    found.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

fn not_possible(server: &Server) -> Missing {
    let missing = |why: &str, statement: Option<String>| Missing {
        what: WHAT.to_owned(),
        why: format!("{why}; figures are estimates"),
        statement,
    };
    match (&server.pgstattuple_schema, server.has_pgstattuple) {
        (Some(schema), _) => missing(
            "this role may not use the extension pgstattuple",
            Some(format!(
                "GRANT USAGE ON SCHEMA {schema} TO {0}; GRANT pg_stat_scan_tables TO {0};",
                server.role_quoted
            )),
        ),
        (None, true) => missing(
            "the extension pgstattuple is not created in this database",
            Some("CREATE EXTENSION pgstattuple;".to_owned()),
        ),
        (None, false) => missing("the extension pgstattuple is not installed on the server", None),
    }
}

struct Measuring<'a> {
    session: &'a Session<'a>,
    server: &'a Server,
    schema: &'a str,
    deadline: Instant,
    locked: &'a Locked,
}

/// What pgstattuple says, or why it does not.
type Measured = Result<WasteFigure, String>;

impl Measuring<'_> {
    async fn table(&self, table: &mut TableSpace) -> Result<(), ReadError> {
        let fill = RelOptions(&table.options).number("fillfactor").unwrap_or(100.0) / 100.0;
        let share = table.full_share.unwrap_or(fill * 0.98);
        let heap = match self.heap(table.oid, table.heap_bytes, share).await? {
            Ok(figure) => figure,
            Err(reason) => {
                table.waste.not_measured = Some(reason);
                return Ok(());
            }
        };
        let mut wasted = heap.bytes;
        if let Some(toast) = table.toast_oid.filter(|_| table.toast_bytes > 0) {
            // Four pieces of 2,036 bytes with their list fill a page but for 8 bytes.
            match self.heap(toast, table.toast_bytes, 1.0).await? {
                Ok(figure) => wasted += figure.bytes,
                Err(reason) => {
                    table.waste.not_measured = Some(format!("values out of line: {reason}"));
                    return Ok(());
                }
            }
        }
        let whole = table.heap_bytes + table.toast_bytes;
        table.waste.measured = Some(WasteFigure::beyond(whole, whole.saturating_sub(wasted) as f64));
        Ok(())
    }

    /// A heap of which full pages hold this share of rows.
    async fn heap(&self, oid: u32, bytes: u64, full_share: f64) -> Result<Measured, ReadError> {
        let sql = format!(
            "SELECT /* pgprime: measure */ table_len AS whole, (dead_tuple_len + approx_free_space)::float8 AS unused \
             FROM {}.pgstattuple_approx($1::oid::regclass)",
            self.schema
        );
        let block_bytes = self.server.block_bytes();
        let row = match self.ask(oid, "measure a table", &sql).await? {
            Ok(row) => row,
            Err(reason) => return Ok(Err(reason)),
        };
        let (whole, unused) = row;
        // Of a page that is not full a part is its header and the list of places.
        let used = (whole - unused).max(0.0);
        let full = (full_share + 24.0 / block_bytes).min(1.0);
        let needed = (used / full / block_bytes).ceil() * block_bytes;
        Ok(Ok(WasteFigure::beyond(bytes, needed.min(whole))))
    }

    async fn index(&self, index: &mut IndexSpace) -> Result<(), ReadError> {
        let sql = format!(
            "SELECT /* pgprime: measure */ index_size AS whole, \
             (index_size - leaf_pages * current_setting('block_size')::int8 * \
             CASE WHEN avg_leaf_density = 'NaN' THEN 0 ELSE avg_leaf_density END / 100 \
             - (1 + internal_pages) * current_setting('block_size')::int8)::float8 AS unused \
             FROM {}.pgstatindex($1::oid::regclass)",
            self.schema
        );
        match self.ask(index.oid, "measure an index", &sql).await? {
            Ok((whole, unused)) => {
                let fill = RelOptions(&index.options).number("fillfactor").unwrap_or(90.0) / 100.0;
                let needed = (whole - unused).max(0.0) / fill;
                index.waste.measured = Some(WasteFigure::beyond(index.bytes, needed));
            }
            Err(reason) => index.waste.not_measured = Some(reason),
        }
        Ok(())
    }

    /// Bytes in all and bytes unused.
    async fn ask(
        &self,
        oid: u32,
        step: &'static str,
        sql: &str,
    ) -> Result<Result<(f64, f64), String>, ReadError> {
        if self.locked.oids.contains(&oid) {
            return Ok(Err("another session has locked it".to_owned()));
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Err(OUT_OF_TIME.to_owned()));
        }
        let parameters = [(&oid as &(dyn tokio_postgres::types::ToSql + Sync), Type::OID)];
        let rows = match self.session.attempt_within(left, step, sql, &parameters).await? {
            Attempt::Rows(rows) => rows,
            Attempt::Refused { state, message } => {
                let is_late = state == tokio_postgres::error::SqlState::QUERY_CANCELED;
                return Ok(Err(if is_late { OUT_OF_TIME.to_owned() } else { message }));
            }
        };
        let Some(row) = rows.first() else { return Ok(Err("no answer".to_owned())) };
        let whole: i64 = column(row, step, "whole")?;
        Ok(Ok((whole as f64, column(row, step, "unused")?)))
    }
}
