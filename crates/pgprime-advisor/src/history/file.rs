//! The file: opened, created, recognised and brought to the current format.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::error::HistoryError;

/// Marks the file as ours, in SQLite's header: "pgph".
const APPLICATION_ID: i64 = 0x7067_7068;
/// What brings a file from the format of the position to the next. Published ones are never changed.
const MIGRATIONS: &[&str] =
    &[include_str!("../../sql/history_1_statements.sql"), include_str!("../../sql/history_2_series.sql")];
/// Writers hold the file for milliseconds, or for a second when much is rolled up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Of the setting `auto_vacuum`.
const INCREMENTAL: i64 = 2;
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// SQLite does not wait for others while it changes the way of logging.
const TRIES_MAX: u32 = 50;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Opens the file, creating it and its folder where there is none, readable by its owner alone.
pub(super) fn open(path: &Path) -> Result<Connection, HistoryError> {
    create(path)?;
    recognise(path)?;
    let sql_error = |source| HistoryError::sql(path.to_owned(), source);
    let mut connection = Connection::open(path).map_err(sql_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sql_error)?;
    check_owner(&connection, path)?;
    prepare(&connection).map_err(sql_error)?;
    // A commit may be lost when the machine fails, never the file.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(sql_error)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(sql_error)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Only what has to be set: both take the lock for writing, even where they change nothing.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    let mode = |connection: &Connection| -> rusqlite::Result<String> {
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0))
    };
    if pragma(connection, "auto_vacuum")? != INCREMENTAL {
        // Freed pages go back to the system; this has an effect only before the first table.
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
    }
    with_patience(|| match mode(connection)?.as_str() {
        "wal" => Ok(()),
        _ => connection.pragma_update(None, "journal_mode", "WAL"),
    })
}

fn create(path: &Path) -> Result<(), HistoryError> {
    let io = |step, path: &Path| {
        let path = path.to_owned();
        move |source| HistoryError::Io { step, path, source }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(io("create the folder", folder))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(io("create", path)(error)),
        _ => Ok(()),
    }
}

/// SQLite would take a short file for an empty database and write over it.
fn recognise(path: &Path) -> Result<(), HistoryError> {
    let io = |source| HistoryError::Io { step: "read", path: path.to_owned(), source };
    let mut head = Vec::new();
    let file = File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(HistoryError::Foreign { path: path.to_owned(), found: "not a file" });
    }
    file.take(SQLITE_MAGIC.len() as u64).read_to_end(&mut head).map_err(io)?;
    if head.is_empty() || head == SQLITE_MAGIC {
        return Ok(());
    }
    Err(HistoryError::Foreign { path: path.to_owned(), found: "not an SQLite database" })
}

/// Before anything is written: the file of another program is left as it is.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), HistoryError> {
    let sql_error = |source| HistoryError::sql(path.to_owned(), source);
    // The tables first: another process may be making the file, and its tables come with its mark.
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sql_error)?;
    let application = pragma(connection, "application_id").map_err(sql_error)?;
    if application == APPLICATION_ID {
        return check_version(connection, path).map(drop);
    }
    if application == 0 && tables == 0 {
        return Ok(());
    }
    Err(HistoryError::Foreign { path: path.to_owned(), found: "a database of another program" })
}

/// The format of the file.
fn check_version(connection: &Connection, path: &Path) -> Result<usize, HistoryError> {
    let found =
        pragma(connection, "user_version").map_err(|source| HistoryError::sql(path.to_owned(), source))?;
    match usize::try_from(found) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(HistoryError::TooNew { path: path.to_owned(), found, known: MIGRATIONS.len() as i64 }),
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), HistoryError> {
    if check_version(connection, path)? == MIGRATIONS.len() {
        return Ok(());
    }
    let sql_error = |source| HistoryError::sql(path.to_owned(), source);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql_error)?;
    // Another process may have done it while this one waited.
    let version = check_version(&transaction, path)?;
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(migration).map_err(sql_error)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sql_error)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64).map_err(sql_error)?;
    transaction.commit().map_err(sql_error)
}

pub(super) fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn with_patience(mut action: impl FnMut() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    let is_busy =
        |error: &rusqlite::Error| error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy);
    for _ in 0..TRIES_MAX {
        match action() {
            Err(error) if is_busy(&error) => std::thread::sleep(TRY_AGAIN_AFTER),
            outcome => return outcome,
        }
    }
    action()
}
