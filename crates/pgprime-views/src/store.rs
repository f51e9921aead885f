//! State and history, in the database itself: all instances share them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use crate::catalog::timestamp;
use crate::changes::Snapshot;
use crate::error::ViewsError;
use crate::names::ViewName;
use crate::session::{self, Begin, Parameter, row, rows, value};

/// What makes the schemas and tables, for administrators who want to run it themselves.
pub const SETUP_SQL: &str = include_str!("../sql/setup.sql");

/// First key of the advisory locks of views; the second is the hash of the name.
pub(crate) const VIEW_LOCK: i32 = 0x7067_7076;
/// First key of the advisory lock of those who change definitions.
const APPLY_LOCK: i32 = 0x7067_7077;
/// Longest text of an error that is kept.
const ERROR_LETTERS_MAX: usize = 2_000;
/// Most entries of the history that are read at once.
const HISTORY_ROWS_MAX: u32 = 100_000;

/// What is kept of a view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) oid: u32,
    pub(crate) refreshed_at: Option<Timestamp>,
    pub(crate) unchanged_at: Option<Timestamp>,
    pub(crate) duration: Option<Duration>,
    pub(crate) failures: u32,
    pub(crate) failed_at: Option<Timestamp>,
    pub(crate) error: Option<String>,
    pub(crate) base: Option<Snapshot>,
    pub(crate) is_interrupted: bool,
    pub(crate) refreshes: i64,
    pub(crate) skips: i64,
    pub(crate) spent: Duration,
    pub(crate) scans_first: i64,
    pub(crate) scans_own: i64,
}

/// One refresh of the past.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HistoryEntry {
    /// The view's name, quoted where needed.
    pub view: String,
    /// When it began, by the database's clock.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// Whether it succeeded.
    pub ok: bool,
    /// Why it was done.
    pub reason: String,
    /// Whether readers could go on meanwhile.
    pub is_concurrent: bool,
    /// What went wrong.
    pub error: Option<String>,
    /// Rows of the view afterwards.
    pub rows: Option<i64>,
    /// Its size with its indexes afterwards.
    pub bytes: Option<i64>,
    /// Rows of the view that the refresh wrote or deleted.
    pub rows_changed: Option<i64>,
    /// Rows changed in the tables below since the refresh before; `None` where that could not be told.
    pub base_changes: Option<i64>,
}

/// What is written of one refresh.
#[derive(Clone, Debug)]
pub(crate) struct NewEntry<'a> {
    pub(crate) view: &'a ViewName,
    pub(crate) started_at: Timestamp,
    pub(crate) reason: &'a str,
    pub(crate) is_concurrent: bool,
    pub(crate) error: Option<&'a str>,
    pub(crate) rows: Option<i64>,
    pub(crate) bytes: Option<i64>,
    pub(crate) rows_changed: Option<i64>,
    pub(crate) base_changes: Option<i64>,
}

/// Makes what is missing; does nothing where all is there.
pub(crate) async fn set_up(client: &Client) -> Result<(), ViewsError> {
    session::begin(client, Begin { lock_timeout_ms: Some(10_000), ..Begin::default() }).await?;
    let made = async {
        // Two at once would fail on each other.
        let lock = format!("SELECT pg_advisory_xact_lock({APPLY_LOCK}, 1)");
        session::run(client, "wait for others who set up", &lock).await?;
        client.batch_execute(SETUP_SQL).await.map_err(ViewsError::at("create the schemas of pgprime"))
    };
    let made = made.await;
    session::end(client, made).await
}

/// The lock of those who change definitions, until the transaction's end.
pub(crate) async fn lock_apply(client: &Client) -> Result<(), ViewsError> {
    let sql = format!("SELECT pg_try_advisory_xact_lock({APPLY_LOCK}, 0) AS got");
    let got = row(client, "lock out others who apply", &sql, &[]).await?;
    let got = got.as_ref().map_or(Ok(false), |got| value(got, "got"))?;
    if got { Ok(()) } else { Err(ViewsError::Busy) }
}

/// The lock of a view until the transaction's end; `false` where another has it.
pub(crate) async fn lock_view(client: &Client, view: &ViewName) -> Result<bool, ViewsError> {
    let sql = format!("SELECT pg_try_advisory_xact_lock({VIEW_LOCK}, hashtext($1)) AS got");
    let name = view.to_string();
    let got = row(client, "lock the view", &sql, &[(&name, Type::TEXT)]).await?;
    got.as_ref().map_or(Ok(false), |got| value(got, "got"))
}

/// What is kept of all views, by their names.
pub(crate) async fn states(client: &Client) -> Result<BTreeMap<String, Stored>, ViewsError> {
    read_states(client, None).await
}

/// What is kept of one view.
pub(crate) async fn state(client: &Client, view: &ViewName) -> Result<Option<Stored>, ViewsError> {
    let name = view.to_string();
    Ok(read_states(client, Some(&name)).await?.remove(&name))
}

async fn read_states(client: &Client, view: Option<&str>) -> Result<BTreeMap<String, Stored>, ViewsError> {
    let lock = i64::from(VIEW_LOCK);
    let parameters: [Parameter<'_>; 2] = [(&view, Type::TEXT), (&lock, Type::INT8)];
    let step = "read the state of views";
    let found =
        rows(client, step, include_str!("../sql/states.sql"), &parameters).await.map_err(not_set_up)?;
    found.iter().map(|row| Ok((value(row, "view")?, read_state(row)?))).collect()
}

fn read_state(row: &Row) -> Result<Stored, ViewsError> {
    let time = |name| Ok(value::<Option<i64>>(row, name)?.map(timestamp));
    let base: Option<&str> = value(row, "base")?;
    let is_interrupted = value::<Option<bool>>(row, "is_interrupted")?.unwrap_or(false);
    let failures = u32::try_from(value::<i32>(row, "failures")?).unwrap_or(0);
    let failed_at = if is_interrupted { time("attempt_at")? } else { time("failed_at")? };
    Ok(Stored {
        oid: value(row, "view_oid")?,
        refreshed_at: time("refreshed_at")?,
        unchanged_at: time("unchanged_at")?,
        duration: value::<Option<f64>>(row, "duration_ms")?.map(millis),
        failures: failures.saturating_add(u32::from(is_interrupted)),
        failed_at,
        error: value(row, "error")?,
        // What another version wrote and this one cannot read counts as nothing.
        base: base.and_then(|base| serde_json::from_str(base).ok()),
        is_interrupted,
        refreshes: value(row, "refreshes")?,
        skips: value(row, "skips")?,
        spent: millis(value(row, "spent_ms")?),
        scans_first: value(row, "scans_first")?,
        scans_own: value(row, "scans_own")?,
    })
}

fn millis(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis.max(0.0) / 1_000.0).unwrap_or_default()
}

/// Notes that a refresh begins.
pub(crate) async fn claim(
    client: &Client,
    view: &ViewName,
    oid: u32,
    was_interrupted: bool,
) -> Result<(), ViewsError> {
    let name = view.to_string();
    let parameters: [Parameter<'_>; 3] =
        [(&name, Type::TEXT), (&oid, Type::OID), (&was_interrupted, Type::BOOL)];
    let step = "note that a refresh begins";
    rows(client, step, include_str!("../sql/claim.sql"), &parameters).await.map_err(not_set_up)?;
    Ok(())
}

/// Notes what a refresh has done, in the very transaction that did it.
pub(crate) async fn succeeded(
    client: &Client,
    oid: u32,
    base: Option<&Snapshot>,
    scans_own: i64,
    entry: &NewEntry<'_>,
    history_max: u32,
) -> Result<(), ViewsError> {
    let name = entry.view.to_string();
    let started = entry.started_at.as_microsecond();
    let base = base.and_then(|base| serde_json::to_string(base).ok());
    let parameters: [Parameter<'_>; 5] = [
        (&name, Type::TEXT),
        (&oid, Type::OID),
        (&started, Type::INT8),
        (&base, Type::TEXT),
        (&scans_own, Type::INT8),
    ];
    let step = "note the refresh";
    rows(client, step, include_str!("../sql/succeeded.sql"), &parameters).await.map_err(not_set_up)?;
    add_history(client, entry, history_max).await
}

/// Notes that a refresh failed; the number of failures in a row.
pub(crate) async fn failed(
    client: &Client,
    error: &str,
    entry: &NewEntry<'_>,
    history_max: u32,
) -> Result<u32, ViewsError> {
    let error: String = error.chars().take(ERROR_LETTERS_MAX).collect();
    let name = entry.view.to_string();
    session::begin(client, Begin::default()).await?;
    let noted = async {
        let parameters: [Parameter<'_>; 2] = [(&name, Type::TEXT), (&error, Type::TEXT)];
        let step = "note the failure";
        let noted = row(client, step, include_str!("../sql/failed.sql"), &parameters).await?;
        add_history(client, &NewEntry { error: Some(&error), ..entry.clone() }, history_max).await?;
        let failures: i32 = noted.as_ref().map_or(Ok(1), |noted| value(noted, "failures"))?;
        Ok(u32::try_from(failures).unwrap_or(0))
    };
    let noted = noted.await;
    session::end(client, noted).await
}

/// Notes that a view was due and nothing had changed.
pub(crate) async fn unchanged(
    client: &Client,
    view: &ViewName,
    oid: u32,
    seen_at: Timestamp,
) -> Result<(), ViewsError> {
    let (name, seen) = (view.to_string(), seen_at.as_microsecond());
    let parameters: [Parameter<'_>; 3] = [(&name, Type::TEXT), (&oid, Type::OID), (&seen, Type::INT8)];
    rows(client, "note that nothing changed", include_str!("../sql/unchanged.sql"), &parameters).await?;
    Ok(())
}

async fn add_history(client: &Client, entry: &NewEntry<'_>, history_max: u32) -> Result<(), ViewsError> {
    let (name, started, ok) =
        (entry.view.to_string(), entry.started_at.as_microsecond(), entry.error.is_none());
    let parameters: [Parameter<'_>; 10] = [
        (&name, Type::TEXT),
        (&started, Type::INT8),
        (&ok, Type::BOOL),
        (&entry.reason, Type::TEXT),
        (&entry.is_concurrent, Type::BOOL),
        (&entry.error, Type::TEXT),
        (&entry.rows, Type::INT8),
        (&entry.bytes, Type::INT8),
        (&entry.rows_changed, Type::INT8),
        (&entry.base_changes, Type::INT8),
    ];
    rows(client, "write the history", include_str!("../sql/history_insert.sql"), &parameters).await?;
    let keep = i64::from(history_max.max(1));
    let parameters: [Parameter<'_>; 2] = [(&name, Type::TEXT), (&keep, Type::INT8)];
    rows(client, "shorten the history", include_str!("../sql/history_prune.sql"), &parameters).await?;
    Ok(())
}

/// The newest refreshes first, of one view or of all.
///
/// # Errors
/// [`ViewsError::NotSetUp`], or the connection's.
pub async fn history(
    client: &Client,
    view: Option<&ViewName>,
    limit: u32,
) -> Result<Vec<HistoryEntry>, ViewsError> {
    let (name, limit) = (view.map(ToString::to_string), i64::from(limit.min(HISTORY_ROWS_MAX)));
    let parameters: [Parameter<'_>; 2] = [(&name, Type::TEXT), (&limit, Type::INT8)];
    let found = rows(client, "read the history", include_str!("../sql/history.sql"), &parameters)
        .await
        .map_err(not_set_up)?;
    let entry = |row: &Row| {
        Ok(HistoryEntry {
            view: value(row, "view")?,
            started_at: timestamp(value(row, "started_at")?),
            duration_ms: value(row, "duration_ms")?,
            ok: value(row, "ok")?,
            reason: value(row, "reason")?,
            is_concurrent: value(row, "is_concurrent")?,
            error: value(row, "error")?,
            rows: value(row, "view_rows")?,
            bytes: value(row, "bytes")?,
            rows_changed: value(row, "rows_changed")?,
            base_changes: value(row, "base_changes")?,
        })
    };
    found.iter().map(entry).collect()
}

/// Tables that are not there have a reason and a remedy.
fn not_set_up(error: ViewsError) -> ViewsError {
    let missing = [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME];
    if error.sqlstate().is_some_and(|state| missing.contains(state)) {
        return ViewsError::NotSetUp { sql: SETUP_SQL };
    }
    error
}
