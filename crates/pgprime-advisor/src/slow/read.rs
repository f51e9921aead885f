//! The reading of pg_stat_statements, whatever its version and wherever it is.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use pgprime_readonly::{Attempt, ReadError, Session, Timeouts, column, server_version};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::error::SlowError;
use super::snapshot::{Hidden, Server, Snapshot, Tracking};
use super::text;
use crate::Missing;
use crate::history::{Counters, Entry, Identity, Reading, StatementKey};

/// The view's texts lie in a file, which may be large.
const TIMEOUTS: Timeouts = Timeouts { statement: Duration::from_secs(15), lock: Duration::from_secs(1) };
const WHAT: &str = "statements and their times";
const CREATE: &str = "CREATE EXTENSION pg_stat_statements;";

/// Reads all counters of all databases, with the texts, in one read-only transaction with short timeouts.
///
/// The connection must not be in a transaction. If this future is dropped before its end, close the connection. Through
/// a pooler, what is counted is that of the server behind it.
///
/// # Errors
/// [`SlowError::NotMeasured`] with what has to be done, when there is nothing to read; otherwise when the connection fails
/// or the server is older than version 13.
pub async fn snapshot(client: &Client) -> Result<Snapshot, SlowError> {
    snapshot_except(client, &HashSet::new()).await
}

/// As [`snapshot`], without the texts of statements that are known already: where none is new, the server does not
/// read its file of texts.
///
/// # Errors
/// Those of [`snapshot`].
pub async fn snapshot_except(client: &Client, known: &HashSet<StatementKey>) -> Result<Snapshot, SlowError> {
    let session = Session::begin(client, TIMEOUTS).await?;
    let outcome = read(&session, known).await;
    session.end(outcome).await
}

/// The view in this database.
struct View {
    schema: String,
    columns: Vec<String>,
    has_information: bool,
}

impl View {
    /// The query with the view's schema and, of the names in braces, the first that this version has; the last is taken
    /// as it is.
    fn filled(&self, sql: &str) -> String {
        let sql = sql.replace("{schema}", &self.schema);
        let mut filled = String::with_capacity(sql.len());
        let mut rest = sql.as_str();
        while let Some((before, names, after)) = first_braces(rest) {
            filled.push_str(before);
            let mut choices = names.split('|');
            let last = choices.next_back().unwrap_or_default();
            let has = |name: &&str| self.columns.iter().any(|column| column == name);
            filled.push_str(choices.find(has).unwrap_or(last));
            rest = after;
        }
        filled + rest
    }
}

fn first_braces(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (names, after) = rest.split_once('}')?;
    Some((before, names, after))
}

/// The server's row.
struct Asked {
    server: Server,
    tracking: Tracking,
    taken_at: Timestamp,
    started_at: Timestamp,
    sees_all: bool,
    role_quoted: String,
    is_loaded: bool,
    computes_query_id: bool,
}

async fn read(session: &Session<'_>, known: &HashSet<StatementKey>) -> Result<Snapshot, SlowError> {
    let mut asked = ask(session).await?;
    let view = find_view(session, &asked).await?;
    let (reset_at, deallocations) = information(session, &view).await?;
    let step = "read pg_stat_statements";
    let sql = view.filled(include_str!("../../sql/slow_statements.sql"));
    let rows = match session.attempt(step, &sql, &[]).await? {
        Attempt::Rows(rows) => rows,
        Attempt::Refused { state, message } => return Err(refused(&view, &asked, &state, message)),
    };
    let mut collected = collect(&rows, step)?;
    let new: Vec<i64> =
        collected.entries.keys().filter(|key| !known.contains(key)).map(|key| key.query_id).collect();
    if !new.is_empty() {
        add_texts(session, &view, &new, &mut collected.identities).await?;
    }
    asked.server.system = system(session).await?;
    let missing = gaps(&asked, &collected.hidden);
    Ok(Snapshot {
        reading: Reading {
            taken_at: asked.taken_at,
            started_at: asked.started_at,
            reset_at,
            deallocations,
            role: asked.server.role.clone(),
            sees_all: asked.sees_all,
            entries: collected.entries,
        },
        identities: collected.identities.into_values().collect(),
        hidden: collected.hidden,
        server: asked.server,
        tracking: asked.tracking,
        missing,
    })
}

async fn ask(session: &Session<'_>) -> Result<Asked, SlowError> {
    let number = server_version(session).await?;
    let step = "ask who answers";
    let row = session.row(step, include_str!("../../sql/slow_server.sql")).await?;
    let setting = |name: &str| -> Result<Option<String>, ReadError> { column(&row, step, name) };
    let entries_max: Option<i64> = column(&row, step, "entries_max")?;
    let track = setting("track")?;
    Ok(Asked {
        server: Server {
            version: column(&row, step, "version")?,
            version_major: number / 10_000,
            database: column(&row, step, "database")?,
            database_oid: column(&row, step, "database_oid")?,
            role: column(&row, step, "role")?,
            in_recovery: column(&row, step, "in_recovery")?,
            block_bytes: column::<i64>(&row, step, "block_bytes")?.unsigned_abs(),
            system: None,
        },
        taken_at: moment(&row, step, "taken_at")?.unwrap_or(Timestamp::MAX),
        started_at: moment(&row, step, "started_at")?.unwrap_or(Timestamp::MIN),
        sees_all: column(&row, step, "sees_all")?,
        role_quoted: column(&row, step, "role_quoted")?,
        is_loaded: entries_max.is_some(),
        computes_query_id: setting("compute_query_id")?.as_deref() != Some("off"),
        tracking: Tracking {
            entries_max: entries_max.map(i64::unsigned_abs),
            has_planning: setting("track_planning")?.as_deref() == Some("on"),
            has_io_timing: setting("io_timing")?.as_deref() == Some("on"),
            track,
        },
    })
}

fn moment(row: &Row, step: &'static str, name: &str) -> Result<Option<Timestamp>, ReadError> {
    let micros: Option<i64> = column(row, step, name)?;
    let read = |micros| {
        Timestamp::from_microsecond(micros)
            .map_err(|error| ReadError::Answer { step, reason: error.to_string() })
    };
    micros.map(read).transpose()
}

async fn system(session: &Session<'_>) -> Result<Option<String>, ReadError> {
    let step = "ask whose data this is";
    match session.attempt(step, include_str!("../../sql/slow_system.sql"), &[]).await? {
        Attempt::Rows(rows) => rows.first().map(|row| column(row, step, "system")).transpose(),
        Attempt::Refused { .. } => Ok(None),
    }
}

async fn find_view(session: &Session<'_>, asked: &Asked) -> Result<View, SlowError> {
    let step = "look for pg_stat_statements";
    let rows = session.rows(step, include_str!("../../sql/slow_extension.sql"), &[]).await?;
    let Some(row) = rows.first().filter(|_| asked.is_loaded) else {
        return Err(not_there(session, asked, rows.is_empty()).await?);
    };
    let view = View {
        schema: column(row, step, "schema")?,
        columns: column(row, step, "columns")?,
        has_information: column(row, step, "has_information")?,
    };
    if view.columns.iter().any(|column| column == "total_exec_time") {
        return Ok(view);
    }
    let why =
        "the extension pg_stat_statements is older than the server: its owner updates it in this database";
    Err(SlowError::NotMeasured {
        missing: vec![missing(WHAT, why, "ALTER EXTENSION pg_stat_statements UPDATE;")],
    })
}

fn missing(what: &str, why: impl Into<String>, statement: impl Into<String>) -> Missing {
    Missing { what: what.to_owned(), why: why.into(), statement: Some(statement.into()) }
}

/// The steps that are left, in their order.
async fn not_there(
    session: &Session<'_>,
    asked: &Asked,
    must_be_created: bool,
) -> Result<SlowError, SlowError> {
    let step = "ask which libraries are loaded";
    let row = session.row(step, include_str!("../../sql/slow_libraries.sql")).await?;
    let mut steps = Vec::new();
    if !column::<bool>(&row, step, "is_installed")? {
        let why = "the server has no pg_stat_statements: install the package with PostgreSQL's additional modules \
                   (contrib) on its machine";
        steps.push(Missing { what: WHAT.to_owned(), why: why.to_owned(), statement: None });
    }
    if !asked.is_loaded {
        let libraries: Option<String> = column(&row, step, "libraries")?;
        let note = if column(&row, step, "sees_libraries")? {
            ""
        } else {
            "; this role does not see which libraries are loaded already: add them to the list"
        };
        let why = format!(
            "pg_stat_statements is not loaded: a superuser adds it to shared_preload_libraries (a managed service has it \
             among its parameters) and restarts the server{note}"
        );
        let libraries = libraries.map_or_else(String::new, |loaded| loaded + ", ");
        let statement =
            format!("ALTER SYSTEM SET shared_preload_libraries = {libraries}'pg_stat_statements';");
        steps.push(missing(WHAT, why, statement));
    }
    if must_be_created {
        let database = &asked.server.database;
        let when = if asked.is_loaded { "" } else { " after the restart" };
        let why = format!(
            "pg_stat_statements is not created in the database {database}: a superuser creates it{when}"
        );
        steps.push(missing(WHAT, why, CREATE));
    }
    Ok(SlowError::NotMeasured { missing: steps })
}

fn refused(view: &View, asked: &Asked, state: &SqlState, message: String) -> SlowError {
    let missing = if *state == SqlState::INSUFFICIENT_PRIVILEGE {
        let (schema, role) = (&view.schema, &asked.role_quoted);
        // It is there from version 14 on.
        let information =
            if view.has_information { format!(", {schema}.pg_stat_statements_info") } else { String::new() };
        let grant = format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role}; \
             GRANT EXECUTE ON FUNCTION {schema}.pg_stat_statements(boolean) TO {role}; \
             GRANT SELECT ON {schema}.pg_stat_statements{information} TO {role};"
        );
        missing(WHAT, message, grant)
    } else {
        Missing { what: WHAT.to_owned(), why: message, statement: None }
    };
    SlowError::NotMeasured { missing: vec![missing] }
}

/// When everything was last reset, and how often entries were dropped since.
async fn information(
    session: &Session<'_>,
    view: &View,
) -> Result<(Option<Timestamp>, Option<u64>), ReadError> {
    if !view.has_information {
        return Ok((None, None));
    }
    let step = "read pg_stat_statements_info";
    let sql = view.filled(include_str!("../../sql/slow_information.sql"));
    let Attempt::Rows(rows) = session.attempt(step, &sql, &[]).await? else { return Ok((None, None)) };
    let Some(row) = rows.first() else { return Ok((None, None)) };
    let deallocations: i64 = column(row, step, "deallocations")?;
    Ok((moment(row, step, "reset_at")?, Some(deallocations.unsigned_abs())))
}

#[derive(Default)]
struct Collected {
    entries: HashMap<StatementKey, Entry>,
    identities: HashMap<StatementKey, Identity>,
    hidden: Hidden,
}

fn collect(rows: &[Row], step: &'static str) -> Result<Collected, ReadError> {
    let mut collected = Collected::default();
    for row in rows {
        let counters = Counters::from_names(|name| column(row, step, name))?;
        let Some(key) = key(row, step)? else {
            collected.hidden.statements += 1;
            collected.hidden.calls += counters.calls;
            collected.hidden.exec_ms += counters.exec_ms;
            continue;
        };
        let entry = Entry {
            counters,
            min_ms: column(row, step, "min_ms")?,
            max_ms: column(row, step, "max_ms")?,
            stats_since: moment(row, step, "stats_since")?,
            minmax_since: moment(row, step, "minmax_since")?,
        };
        let identity = Identity {
            key,
            role: column(row, step, "role")?,
            database: column(row, step, "database")?,
            text: None,
        };
        collected.entries.insert(key, entry);
        collected.identities.insert(key, identity);
    }
    Ok(collected)
}

/// None for a statement that this role may not see.
fn key(row: &Row, step: &'static str) -> Result<Option<StatementKey>, ReadError> {
    let query_id: Option<i64> = column(row, step, "query_id")?;
    let Some(query_id) = query_id else { return Ok(None) };
    Ok(Some(StatementKey {
        user_oid: column(row, step, "user_oid")?,
        database_oid: column(row, step, "database_oid")?,
        query_id,
        toplevel: column(row, step, "toplevel")?,
    }))
}

async fn add_texts(
    session: &Session<'_>,
    view: &View,
    query_ids: &[i64],
    identities: &mut HashMap<StatementKey, Identity>,
) -> Result<(), SlowError> {
    let step = "read the texts of pg_stat_statements";
    let sql = view.filled(include_str!("../../sql/slow_texts.sql"));
    for row in session.rows(step, &sql, &[(&query_ids, Type::INT8_ARRAY)]).await? {
        // Another one may have come, or one may have been dropped, since the counters were read.
        let Some(identity) = key(&row, step)?.and_then(|key| identities.get_mut(&key)) else { continue };
        let query: Option<&str> = column(&row, step, "query")?;
        identity.text = query.map(text::redacted);
    }
    Ok(())
}

/// What the figures leave out.
fn gaps(asked: &Asked, hidden: &Hidden) -> Vec<Missing> {
    let mut gaps = Vec::new();
    if !asked.computes_query_id {
        let why = "compute_query_id is off: pg_stat_statements counts nothing that has no id";
        let statement = "ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();";
        gaps.push(missing("statements", why, statement));
    }
    if asked.tracking.track.as_deref() == Some("none") {
        let why = "pg_stat_statements.track is none: nothing is counted";
        let statement = "ALTER SYSTEM SET pg_stat_statements.track = 'top'; SELECT pg_reload_conf();";
        gaps.push(missing("statements", why, statement));
    }
    if !asked.sees_all && hidden.statements > 0 {
        let why = format!(
            "this role sees that there are {} statements of other roles, but not which: they are not in the list",
            hidden.statements
        );
        let grant = format!("GRANT pg_read_all_stats TO {};", asked.role_quoted);
        gaps.push(missing("statements of other roles", why, grant));
    }
    if !asked.tracking.has_io_timing {
        let why = "track_io_timing is off: how long statements wait for the disk is not measured";
        let statement = "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();";
        gaps.push(missing("times of reading and writing", why, statement));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_that_exists_is_taken() {
        let view = View {
            schema: "\"My Schema\"".to_owned(),
            columns: vec!["blk_read_time".to_owned(), "calls".to_owned()],
            has_information: false,
        };
        let sql = "SELECT {shared_blk_read_time|blk_read_time|0} + {local_blk_read_time|0} FROM {schema}.v";
        assert_eq!(view.filled(sql), "SELECT blk_read_time + 0 FROM \"My Schema\".v");
        assert_eq!(view.filled("SELECT 1"), "SELECT 1");
    }
}
