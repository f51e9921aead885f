//! The whole report.

use serde::Serialize;
use tokio_postgres::Client;

use super::estimates::estimate;
use super::finding::{Finding, Severity};
use super::findings::{Facts, findings};
use super::locked::Locked;
use super::measure::{Wanted, measure};
use super::options::SpaceOptions;
use super::relations::{IndexSpace, Relations, TableSpace};
use super::sequences::{self, SequenceSpace};
use super::server::{Server, Settings};
use super::surroundings::{self, DatabaseAge, Holder, OrphanedSchema};
use super::waste::NoEstimate;
use crate::Missing;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Attempt, Session, column};

/// What takes space in a database, what of it is waste, and what runs out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpaceReport {
    /// The server, and who asked.
    pub server: Server,
    /// The size of the database; `None` when it may not or cannot be read.
    pub database_bytes: Option<u64>,
    /// What is worth a word, the most severe first.
    pub findings: Vec<Finding>,
    /// Tables and materialized views of all schemas but the system's, largest first.
    pub tables: Vec<TableSpace>,
    /// Their indexes, largest first.
    pub indexes: Vec<IndexSpace>,
    /// Partitioned tables with the sums of their partitions, largest first.
    pub partitioned: Vec<PartitionedSpace>,
    /// Sequences, the fullest first.
    pub sequences: Vec<SequenceSpace>,
    /// All databases of the server, oldest ids first.
    pub databases: Vec<DatabaseAge>,
    /// What keeps dead rows from being removed, oldest first, five at most.
    pub holders: Vec<Holder>,
    /// Schemas of temporary tables whose session is gone.
    pub orphaned_schemas: Vec<OrphanedSchema>,
    /// Relations that another session has locked, so that they could not be looked at, as SQL writes them.
    pub locked: Vec<String>,
    /// What could not be seen, and what would show it.
    pub missing: Vec<Missing>,
}

impl SpaceReport {
    /// The severity of the worst finding.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Tables whose waste this role may not see, and what would show it.
    #[must_use]
    pub fn hidden_waste(&self) -> Option<Missing> {
        hidden_statistics(&self.tables, &self.server)
    }

    /// Sequences that this role may not read, and what would let it.
    #[must_use]
    pub fn hidden_sequences(&self) -> Option<Missing> {
        hidden_sequences(&self.sequences, &self.server)
    }
}

/// A partitioned table with the sums of its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionedSpace {
    /// Schema and name as SQL writes them.
    pub qualified: String,
    /// Partitions with rows, on all levels.
    pub partitions: u64,
    /// All of them with TOAST and indexes.
    pub total_bytes: u64,
    /// Waste of those where it is known, indexes left out.
    pub wasted_bytes: u64,
    /// Rows.
    pub live_rows: u64,
    /// Rows that take space until a vacuum.
    pub dead_rows: u64,
}

/// Reads the space of the database that the client is connected to.
///
/// The connection must not be in a transaction: its own is begun here, read-only, and rolled back at the end. If this
/// future is dropped before its end, close the connection. An ordinary role is enough; what it may not see is in
/// [`SpaceReport::missing`]. A relation that another session has locked is named there and not waited for.
///
/// # Errors
/// [`ReadError`] when the connection fails or the server is older than version 13.
pub async fn report(client: &Client, options: &SpaceOptions) -> Result<SpaceReport, ReadError> {
    let session = Session::begin(client, options.timeouts()).await?;
    let outcome = look(&session, options).await;
    session.end(outcome).await
}

async fn look(session: &Session<'_>, options: &SpaceOptions) -> Result<SpaceReport, ReadError> {
    let server = Server::identify(session).await?;
    let Measured { relations, settings, mut locked, mut missing } =
        relations(session, &server, options, Wanted::TablesAndIndexes).await?;
    let sequences = sequences::read(session, &mut locked).await?;
    let databases = surroundings::databases(session).await?;
    let holders = surroundings::holders(session).await?;
    let orphans = surroundings::orphans(session, &server).await?;
    let never_analyzed = surroundings::partitioned_never_analyzed(session).await?;
    let database_bytes = database_size(session, &mut missing).await?;
    let Relations { tables, indexes } = relations;
    let findings = findings(&Facts {
        server: &server,
        settings: &settings,
        options,
        tables: &tables,
        indexes: &indexes,
        sequences: &sequences,
        databases: &databases,
        holders: &holders,
        orphans: &orphans,
        never_analyzed: &never_analyzed,
    });
    missing.extend(locked.missing());
    missing.extend(hidden_sequences(&sequences, &server));
    Ok(SpaceReport {
        database_bytes,
        findings,
        partitioned: partitioned(&tables),
        tables,
        indexes,
        sequences,
        databases,
        holders,
        orphaned_schemas: orphans,
        locked: locked.names(),
        missing,
        server,
    })
}

/// Relations with their waste, and what was learned on the way.
pub(crate) struct Measured {
    pub(crate) relations: Relations,
    pub(crate) settings: Settings,
    pub(crate) locked: Locked,
    pub(crate) missing: Vec<Missing>,
}

/// Reads, estimates and measures tables and indexes.
pub(crate) async fn relations(
    session: &Session<'_>,
    server: &Server,
    options: &SpaceOptions,
    wanted: Wanted,
) -> Result<Measured, ReadError> {
    let settings = Settings::read(session).await?;
    let mut locked = Locked::read(session).await?;
    let mut relations = Relations::read(session, server, &settings, options, &mut locked).await?;
    estimate(session, server, options, &mut relations).await?;
    let mut missing = Vec::new();
    missing.extend(cut_off(&relations, options));
    missing.extend(hidden_statistics(&relations.tables, server));
    missing.extend(measure(session, server, options, wanted, &mut relations, &locked).await?);
    Ok(Measured { relations, settings, locked, missing })
}

async fn database_size(session: &Session<'_>, missing: &mut Vec<Missing>) -> Result<Option<u64>, ReadError> {
    let step = "measure the database";
    let sql = "SELECT /* pgprime: the size of this database */ pg_database_size(current_database()) AS bytes";
    match session.attempt(step, sql, &[]).await? {
        Attempt::Rows(rows) => {
            let size: Option<i64> = rows.first().map(|row| column(row, step, "bytes")).transpose()?;
            Ok(size.and_then(|size| u64::try_from(size).ok()))
        }
        Attempt::Refused { message, .. } => {
            let what = "the size of the database".to_owned();
            missing.push(Missing { what, why: message, statement: None });
            Ok(None)
        }
    }
}

fn cut_off(relations: &Relations, options: &SpaceOptions) -> Option<Missing> {
    let limit = options.tables_max as usize;
    (relations.tables.len() >= limit).then(|| Missing {
        what: "smaller tables".to_owned(),
        why: format!("only the {limit} largest are looked at"),
        statement: None,
    })
}

/// Statistics that the server hides from this role.
fn hidden_statistics(tables: &[TableSpace], server: &Server) -> Option<Missing> {
    let is_hidden = |reason: Option<&NoEstimate>| {
        matches!(reason, Some(NoEstimate::NotPermitted | NoEstimate::RowSecurity))
    };
    let tables: Vec<&TableSpace> =
        tables.iter().filter(|table| is_hidden(table.waste.not_estimated.as_ref())).collect();
    let first = tables.first()?;
    let role = &server.role_quoted;
    let statement = if server.version_major >= 14 {
        format!("GRANT pg_read_all_data TO {role};")
    } else {
        format!("GRANT SELECT ON {} TO {role};", first.qualified)
    };
    Some(Missing {
        what: format!("the estimated waste of {} tables, {} among them", tables.len(), first.qualified),
        why: "the server shows statistics of columns to who may read the columns (or passes row security); without \
              that, pgstattuple measures what is largest"
            .to_owned(),
        statement: Some(statement),
    })
}

fn hidden_sequences(sequences: &[SequenceSpace], server: &Server) -> Option<Missing> {
    let hidden: Vec<&SequenceSpace> = sequences.iter().filter(|sequence| sequence.is_hidden()).collect();
    let first = hidden.first()?;
    Some(Missing {
        what: format!("how far {} sequences are, {} among them", hidden.len(), first.qualified),
        why: "this role may not read them".to_owned(),
        statement: Some(format!(
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA {} TO {};",
            schema_of(&first.qualified),
            server.role_quoted
        )),
    })
}

/// The first part of a name as SQL writes it.
fn schema_of(qualified: &str) -> &str {
    let mut is_quoted = false;
    let end = qualified.char_indices().find(|(_, letter)| {
        is_quoted ^= *letter == '"';
        *letter == '.' && !is_quoted
    });
    end.map_or(qualified, |(end, _)| &qualified[..end])
}

fn partitioned(tables: &[TableSpace]) -> Vec<PartitionedSpace> {
    let mut sums: Vec<PartitionedSpace> = Vec::new();
    for table in tables {
        let Some(root) = &table.partition_of else { continue };
        let at = sums.iter().position(|sum| sum.qualified == *root).unwrap_or_else(|| {
            let (partitions, total_bytes, wasted_bytes, live_rows, dead_rows) = (0, 0, 0, 0, 0);
            let qualified = root.clone();
            sums.push(PartitionedSpace {
                qualified,
                partitions,
                total_bytes,
                wasted_bytes,
                live_rows,
                dead_rows,
            });
            sums.len() - 1
        });
        let sum = &mut sums[at];
        sum.partitions += 1;
        sum.total_bytes += table.total_bytes;
        sum.wasted_bytes += table.waste.best().map_or(0, |waste| waste.bytes);
        sum.live_rows += table.live_rows;
        sum.dead_rows += table.dead_rows;
    }
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.total_bytes));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_of_names() {
        for (qualified, schema) in
            [("public.t", "public"), (r#""a.b"".c"."t.u""#, r#""a.b"".c""#), (r#"s."t""#, "s")]
        {
            assert_eq!(schema_of(qualified), schema);
        }
    }
}
