//! What is not a table of this database but bears on them: databases, sessions that keep dead rows, temporary leftovers.

use serde::Serialize;

use super::server::Server;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Attempt, Session, column, count};

/// How old the ids of a database are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseAge {
    /// Its name, not quoted.
    pub name: String,
    /// Whether it is the one that was connected to.
    pub is_own: bool,
    /// The age of its oldest transaction id.
    pub transaction_age: u64,
    /// The age of its oldest multixact id.
    pub multixact_age: u64,
}

/// What keeps dead rows from being removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// `session`, `prepared transaction`, `replication slot` or `replica`.
    pub kind: String,
    /// Of a session its process id.
    pub name: String,
    /// Transactions that have begun since.
    pub transaction_age: u64,
}

/// A schema of temporary tables whose session is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrphanedSchema {
    /// As SQL writes it.
    pub qualified: String,
    /// Tables, indexes and the like in it.
    pub relations: u64,
    /// Their size at the last look.
    pub bytes: u64,
}

pub(crate) async fn databases(session: &Session<'_>) -> Result<Vec<DatabaseAge>, ReadError> {
    let step = "read the ages of databases";
    let rows = session.rows(step, include_str!("../../sql/space_databases.sql"), &[]).await?;
    let database = |row| {
        Ok(DatabaseAge {
            name: column(row, step, "name")?,
            is_own: column(row, step, "is_own")?,
            transaction_age: count(row, step, "transaction_age")?,
            multixact_age: count(row, step, "multixact_age")?,
        })
    };
    rows.iter().map(database).collect()
}

/// Oldest first, five at most. Of other roles' sessions an ordinary role sees nothing.
pub(crate) async fn holders(session: &Session<'_>) -> Result<Vec<Holder>, ReadError> {
    let step = "look for old snapshots";
    let rows = session.rows(step, include_str!("../../sql/space_holders.sql"), &[]).await?;
    let holder = |row| {
        Ok(Holder {
            kind: column(row, step, "kind")?,
            name: column(row, step, "name")?,
            transaction_age: count(row, step, "transaction_age")?,
        })
    };
    rows.iter().map(holder).collect()
}

/// From version 16 on a session's number, by which its schema is named, can be seen. Before, leftovers are sure only
/// when nobody else is connected to the database.
const LIVE_BY_NUMBER: &str = "EXISTS (
        SELECT FROM pg_stat_get_backend_idset() AS session (number)
        WHERE session.number = substring(n.nspname FROM '[0-9]+$')::int
            AND pg_stat_get_backend_dbid(session.number) = (
                SELECT oid FROM pg_database WHERE datname = current_database())
    )";
const LIVE_BY_OTHERS: &str = "EXISTS (
        SELECT FROM pg_stat_activity s
        WHERE s.datname = current_database() AND s.pid <> pg_backend_pid()
    )";

pub(crate) async fn orphans(
    session: &Session<'_>,
    server: &Server,
) -> Result<Vec<OrphanedSchema>, ReadError> {
    let step = "look for temporary leftovers";
    let live = if server.version_major >= 16 { LIVE_BY_NUMBER } else { LIVE_BY_OTHERS };
    let sql = include_str!("../../sql/space_temporary.sql").replace("{live}", live);
    let rows = match session.attempt(step, &sql, &[]).await? {
        Attempt::Rows(rows) => rows,
        // A session that ends meanwhile is no reason to report nothing.
        Attempt::Refused { .. } => return Ok(Vec::new()),
    };
    let orphan = |row| {
        Ok(OrphanedSchema {
            qualified: column(row, step, "qualified")?,
            relations: count(row, step, "relations")?,
            bytes: count(row, step, "pages")? * u64::from(server.block_bytes),
        })
    };
    rows.iter().map(orphan).collect()
}

/// Partitioned tables that were never analyzed: autovacuum leaves them out.
pub(crate) async fn partitioned_never_analyzed(session: &Session<'_>) -> Result<Vec<String>, ReadError> {
    let step = "look for partitioned tables";
    let rows = session.rows(step, include_str!("../../sql/space_partitioned.sql"), &[]).await?;
    rows.iter().map(|row| column(row, step, "qualified")).collect()
}
