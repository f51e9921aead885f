//! Files of the monitor: opened, created, recognised, brought to the current format, and moved aside when damaged.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::StoreError;

const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// Readers hold up nobody, and there is one writer: only a checkpoint is ever waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Of the setting `auto_vacuum`.
const INCREMENTAL: i64 = 2;
/// The log of changes is cut to this after a checkpoint.
const JOURNAL_BYTES_MAX: i64 = 4 << 20;

/// What distinguishes one kind of file from others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Its mark in SQLite's header.
    pub(crate) application_id: i64,
    /// What brings a file from the format of the position to the next. Published ones are never changed.
    pub(crate) migrations: &'static [&'static str],
}

/// What makes this process the only one that writes to a file; released with the process, however it ends.
#[derive(Debug)]
pub(crate) struct WriterLock(#[expect(dead_code, reason = "held, never read")] Flock<File>);

/// Takes the lock for writing, creating the file's folder where there is none.
pub(crate) fn lock(path: &Path) -> Result<WriterLock, StoreError> {
    let io = |step, path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { step, path, source }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(io("create the folder", folder))?;
    }
    let lock = beside(path, ".lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
    let file = opened.map_err(io("create", &lock))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(WriterLock(held)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(StoreError::InUse { path: path.to_owned() }),
        Err((_, error)) => Err(io("lock", &lock)(error.into())),
    }
}

/// Opens the file for writing under the lock; one that is damaged is moved aside and begun anew.
pub(crate) fn open(
    path: &Path,
    kind: Kind,
    now: Timestamp,
    _lock: &WriterLock,
) -> Result<Connection, StoreError> {
    match open_sound(path, kind) {
        Err(error) if error.is_damage() => {
            set_aside(path, now, &error)?;
            open_sound(path, kind)
        }
        outcome => outcome,
    }
}

/// Moves a damaged file aside with what belongs to it, and says so.
pub(crate) fn set_aside(path: &Path, now: Timestamp, why: &StoreError) -> Result<(), StoreError> {
    let mut aside = free_name(path, now);
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (beside(path, suffix), beside(&aside, suffix));
        match std::fs::rename(&from, &to) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(StoreError::Io { step: "move aside", path: from, source });
            }
            _ => {}
        }
    }
    tracing::error!(
        file = %path.display(), moved_to = %std::mem::take(&mut aside).display(), error = %why,
        "a damaged file was moved aside, and a new one is begun; sqlite3 FILE .recover shows what can be saved"
    );
    Ok(())
}

fn free_name(path: &Path, now: Timestamp) -> PathBuf {
    let stamp = now.strftime("%Y%m%dT%H%M%SZ");
    let name = |count: u32| match count {
        0 => beside(path, &format!(".damaged-{stamp}")),
        count => beside(path, &format!(".damaged-{stamp}-{count}")),
    };
    (0..1_000).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(0))
}

/// Opens the file for reading only. What is committed is seen; what is being written is not waited for.
pub(crate) fn open_reader(path: &Path, kind: Kind) -> Result<Connection, StoreError> {
    let sql_error = |source| StoreError::sql(path.to_owned(), source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sql_error)?;
    check_version(&connection, path, kind)?;
    Ok(connection)
}

fn open_sound(path: &Path, kind: Kind) -> Result<Connection, StoreError> {
    create(path)?;
    recognise(path)?;
    let sql_error = |source| StoreError::sql(path.to_owned(), source);
    let mut connection = Connection::open(path).map_err(sql_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sql_error)?;
    check_owner(&connection, path, kind)?;
    prepare(&connection).map_err(sql_error)?;
    check_soundness(&connection, path)?;
    migrate(&mut connection, path, kind)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    if pragma(connection, "auto_vacuum")? != INCREMENTAL {
        // Freed pages go back to the system; this has an effect only before the first table.
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)?;
    // A commit may be lost when the machine fails, never the file.
    connection.pragma_update(None, "synchronous", "NORMAL")
}

/// Reads all of the file's structure, though not its indexes: a second for the largest.
fn check_soundness(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let damaged = |source| StoreError::Damaged { path: path.to_owned(), source };
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| StoreError::sql(path.to_owned(), source))?;
    if found == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(damaged(rusqlite::Error::SqliteFailure(code, Some(found))))
}

fn create(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::Io { step: "create", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// SQLite would take a short file for an empty database and write over it.
fn recognise(path: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { step: "read", path: path.to_owned(), source };
    let mut head = Vec::new();
    let file = File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(StoreError::Foreign { path: path.to_owned(), found: "not a file" });
    }
    file.take(SQLITE_MAGIC.len() as u64).read_to_end(&mut head).map_err(io)?;
    if head.is_empty() || head == SQLITE_MAGIC {
        return Ok(());
    }
    // The name is ours by configuration: what cannot be read as a database is a damaged one.
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
    let source =
        rusqlite::Error::SqliteFailure(code, Some("it does not begin as a database does".to_owned()));
    Err(StoreError::Damaged { path: path.to_owned(), source })
}

/// Before anything is written: the file of another program is left as it is.
fn check_owner(connection: &Connection, path: &Path, kind: Kind) -> Result<(), StoreError> {
    let sql_error = |source| StoreError::sql(path.to_owned(), source);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sql_error)?;
    let application = pragma(connection, "application_id").map_err(sql_error)?;
    if application == kind.application_id {
        return check_version(connection, path, kind).map(drop);
    }
    if application == 0 && tables == 0 {
        return Ok(());
    }
    Err(StoreError::Foreign { path: path.to_owned(), found: "a database of something else" })
}

/// The format of the file.
fn check_version(connection: &Connection, path: &Path, kind: Kind) -> Result<usize, StoreError> {
    let found =
        pragma(connection, "user_version").map_err(|source| StoreError::sql(path.to_owned(), source))?;
    match usize::try_from(found) {
        Ok(version) if version <= kind.migrations.len() => Ok(version),
        _ => Err(StoreError::TooNew { path: path.to_owned(), found, known: kind.migrations.len() as i64 }),
    }
}

fn migrate(connection: &mut Connection, path: &Path, kind: Kind) -> Result<(), StoreError> {
    let version = check_version(connection, path, kind)?;
    if version == kind.migrations.len() {
        return Ok(());
    }
    let sql_error = |source| StoreError::sql(path.to_owned(), source);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql_error)?;
    for migration in kind.migrations.iter().skip(version) {
        transaction.execute_batch(migration).map_err(sql_error)?;
    }
    transaction.pragma_update(None, "application_id", kind.application_id).map_err(sql_error)?;
    transaction.pragma_update(None, "user_version", kind.migrations.len() as i64).map_err(sql_error)?;
    transaction.commit().map_err(sql_error)
}

pub(crate) fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Bytes in use, without pages that are free.
pub(crate) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    Ok(u64::try_from(pages * pragma(connection, "page_size")?).unwrap_or(0))
}

/// Returns freed pages to the system, outside a transaction.
pub(crate) fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    if pragma(connection, "freelist_count")? > 0 {
        // One row for each page, none of which says anything.
        let mut statement = connection.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// The path with something appended to its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
