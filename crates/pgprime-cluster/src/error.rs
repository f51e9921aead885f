//! What can go wrong with a private cluster, by the step that failed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A step in the life of a private cluster that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No usable PostgreSQL is installed. `rejected` names those that were found but cannot be used, and why.
    #[error(
        "PostgreSQL 13 or newer was not found. Install it with `apt-get install postgresql` (Debian, Ubuntu) or \
         `brew install postgresql@16` (macOS), or name the folder of its programs in {}{}",
        crate::installation::BIN_DIR_VARIABLE,
        listed(rejected)
    )]
    NotFound {
        /// One line for each installation that was found but cannot be used.
        rejected: Vec<String>,
    },
    /// The folder does not hold a PostgreSQL that can be used.
    #[error("the PostgreSQL in {} cannot be used: {reason}", bin_dir.display())]
    Unusable {
        /// The folder that was looked at.
        bin_dir: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// PostgreSQL refuses to run as root, and there is no user to run it as.
    #[error("PostgreSQL does not run as root, and neither of the users `postgres` and `nobody` exists")]
    NoUnprivilegedUser,
    /// The operating system refused a step.
    #[error("could not {step}: {source}")]
    Io {
        /// The step, as it reads after "could not".
        step: String,
        /// Why it was refused.
        source: io::Error,
    },
    /// A program of PostgreSQL's (initdb, pg_basebackup) failed.
    #[error("{program} failed:\n{output}")]
    Tool {
        /// The program.
        program: &'static str,
        /// What it wrote.
        output: String,
    },
    /// Another process listens on the node's port.
    #[error("{node} did not start: port {port} is taken")]
    PortTaken {
        /// The node's name.
        node: String,
        /// The port.
        port: u16,
    },
    /// The server ended, or was not ready in time.
    #[error("{node} did not start: {reason}; the end of its log:\n{log_tail}")]
    Start {
        /// The node's name.
        node: String,
        /// What was seen.
        reason: String,
        /// The last lines that the server logged since it was started.
        log_tail: String,
    },
    /// The server was told to stop and did not in time. It still runs.
    #[error("{node} did not stop within {waited:?}")]
    Stop {
        /// The node's name.
        node: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The step needs a running server.
    #[error("{node} is not running")]
    NotRunning {
        /// The node's name.
        node: String,
    },
    /// A statement failed, or the connection for it.
    #[error("SQL failed on {node}, database {database}: {message}")]
    Sql {
        /// The node's name.
        node: String,
        /// The database.
        database: String,
        /// What psql reported.
        message: String,
    },
    /// The server does not accept these lines of pg_hba.conf; those before are in force.
    #[error("{node} does not accept the pg_hba.conf: {message}")]
    Hba {
        /// The node's name.
        node: String,
        /// Line numbers and reasons.
        message: String,
    },
    /// A replica did not replay what the primary had written in time.
    #[error("{node} did not catch up to {lsn} within {waited:?}")]
    Behind {
        /// The replica's name.
        node: String,
        /// The position in the write-ahead log that was waited for.
        lsn: String,
        /// How long it was waited for.
        waited: Duration,
    },
}

impl ClusterError {
    /// For `map_err`: wraps an error of the operating system with the step it stopped.
    pub(crate) fn io(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |source| Self::Io { step, source }
    }
}

fn listed(rejected: &[String]) -> String {
    if rejected.is_empty() {
        String::new()
    } else {
        format!(". Found, but not usable: {}", rejected.join("; "))
    }
}
