//! Why a history could not be read or written.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why a history could not be read or written. What is in the file is never removed because of it.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file or its folder cannot be used.
    #[error("cannot {step} {}: {source}", path.display())]
    Io {
        /// What was being done.
        step: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error(
        "{} is not a history of pgprime ({found}): name another file; it was left as it is",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The file was written by a newer pgprime.
    #[error(
        "{} has the format {found}, and this pgprime knows formats up to {known}: use a newer pgprime or name another \
         file; it was left as it is",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that is known here.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "the history {0} is damaged ({1}): move it away together with {0}-wal and {0}-shm and a new one is begun; \
         sqlite3 {0} .recover shows what can be saved; it was left as it is",
        path.display(), source
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: rusqlite::Error,
    },
    /// Other processes wrote to it for too long.
    #[error("the history {} is in use by another process: try again", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What was waited for.
        source: rusqlite::Error,
    },
    /// A statement on it failed.
    #[error("the history {}: {source}", path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

impl HistoryError {
    /// Sorts what SQLite says by what can be done about it.
    pub(super) fn sql(path: PathBuf, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            // Its first bytes have been recognised before.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path, source },
            _ => Self::Sql { path, source },
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}
