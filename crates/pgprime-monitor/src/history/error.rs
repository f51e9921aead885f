//! Why a file of the monitor could not be read or written.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why a file of the monitor could not be read or written. Monitoring goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
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
    /// The file belongs to another program, or to another part of this one.
    #[error("{} is {found}: name another file; it was left as it is", path.display())]
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
    /// Another process writes to the file.
    #[error("{} is in use by another pgprime: stop it, or name another file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged. One that is written to is moved aside instead where that is possible.
    #[error("{} is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: rusqlite::Error,
    },
    /// There is no room for more.
    #[error("no room left for {}: free space on its disk; nothing more is kept until then", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: rusqlite::Error,
    },
    /// A statement on it failed.
    #[error("{}: {source}", path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Sorts what SQLite says by what can be done about it.
    pub(crate) fn sql(path: PathBuf, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path, source },
            Some(ErrorCode::DiskFull) => Self::Full { path, source },
            _ => Self::Sql { path, source },
        }
    }

    /// Whether the file is damaged.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}
