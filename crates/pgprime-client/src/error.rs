//! What can go wrong, in which step, whether it may be tried again, and what to do.

use std::fmt::{self, Write as _};
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::config::ConfigError;

/// The step in which an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The configuration, or how the library was called.
    Configure,
    /// Waiting for a connection of the pool.
    Wait,
    /// Opening a network connection.
    Connect,
    /// TLS and authentication.
    Login,
    /// A statement.
    Query,
    /// The end of a transaction, whose outcome is not known.
    Commit,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure => "configure",
            Self::Wait => "wait",
            Self::Connect => "connect",
            Self::Login => "login",
            Self::Query => "query",
            Self::Commit => "commit",
        })
    }
}

/// The error of this library.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection became free in time.
    #[error(transparent)]
    Exhausted(Box<Exhausted>),
    /// The database is out of reach or refuses logins; nothing was sent.
    #[error("pool {pool}: {cause}")]
    Down {
        /// The pool.
        pool: &'static str,
        /// Why the last attempt to connect failed.
        cause: Arc<ConnectError>,
    },
    /// A statement of the admin role was not begun, as requests waited for connections of the main pool all the while.
    #[error(
        "pool admin: not begun within {}, as requests wait for connections of pool main ({waiting} now); try again when the \
         service is less busy",
        Span(*waited)
    )]
    HeldBack {
        /// Requests that wait for the main pool now.
        waiting: u32,
        /// How long this one has waited.
        waited: Duration,
    },
    /// The pool has been closed.
    #[error("pool {0} is closed; no connection is handed out any more")]
    Closed(&'static str),
    /// A statement failed, or the connection was lost while it ran.
    #[error("query: {source}")]
    Query {
        /// Why.
        #[source]
        source: QueryError,
    },
    /// The connection was lost after COMMIT was sent: the transaction may or may not be in the database.
    #[error(
        "commit: the connection was lost after COMMIT was sent, so the outcome is not known; read before writing again"
    )]
    CommitUncertain {
        /// How the connection was lost.
        #[source]
        source: QueryError,
    },
    /// A statement that should give one row gave another number of them.
    #[error("query: {found} came where {expected} was asked for")]
    Rows {
        /// What was asked for.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// A cursor from outside is not one of this query.
    #[error("this cursor is not one of this query; begin again with the first page")]
    Cursor,
    /// The library was called in a way it cannot carry out.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// The step that failed.
    pub fn step(&self) -> Step {
        match self {
            Self::Exhausted(_) | Self::HeldBack { .. } | Self::Closed(_) => Step::Wait,
            Self::Down { cause, .. } => cause.step(),
            Self::Query { .. } | Self::Rows { .. } => Step::Query,
            Self::CommitUncertain { .. } => Step::Commit,
            Self::Cursor | Self::Usage(_) => Step::Configure,
        }
    }

    /// Whether nothing has happened in the database and the same call may succeed later: no connection was to be had, or
    /// the database gave up a transaction for another's sake (serialization failure, deadlock).
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Exhausted(_) | Self::HeldBack { .. } | Self::Down { .. } => true,
            Self::Query { source } => source.code().is_some_and(is_conflict),
            Self::Closed(_)
            | Self::CommitUncertain { .. }
            | Self::Rows { .. }
            | Self::Cursor
            | Self::Usage(_) => false,
        }
    }

    /// Whether the connection was lost while a statement ran, so that its outcome is not known.
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Query { source } => source.is_lost(),
            Self::CommitUncertain { .. } => true,
            _ => false,
        }
    }

    /// The SQLSTATE: the database's own, or the field's for what failed before the database was asked (53300 too many
    /// connections, 08001 unable to connect, 08007 transaction resolution unknown).
    pub fn sqlstate(&self) -> &str {
        match self {
            Self::Exhausted(_) | Self::HeldBack { .. } => "53300",
            Self::Down { cause, .. } => cause.sqlstate(),
            Self::Closed(_) => "57P03",
            Self::Query { source } => match source.code() {
                Some(code) => code.code(),
                None if source.is_lost() => "08006",
                // The driver could not turn a parameter or a column into the type asked for.
                None => "42804",
            },
            Self::CommitUncertain { .. } => "08007",
            Self::Rows { found: "no row", .. } => "02000",
            Self::Rows { .. } => "21000",
            Self::Cursor | Self::Usage(_) => "22023",
        }
    }
}

impl Error {
    /// A connection lost during COMMIT leaves the outcome open.
    pub(crate) fn into_uncertain(self) -> Self {
        match self {
            Self::Query { source } => Self::CommitUncertain { source },
            other => other,
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(source: tokio_postgres::Error) -> Self {
        Self::Query { source: QueryError::Driver(source) }
    }
}

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// What the database or the driver said.
    #[error("{}", describe(.0))]
    Driver(#[source] tokio_postgres::Error),
    /// A column of a kept result cannot be read.
    #[cfg(feature = "cache")]
    #[error("{0}")]
    Cell(#[source] crate::cell::CellError),
    /// Nobody said anything: the server or the network hangs.
    #[error("no answer within {}, which is longer than statement_timeout; whether it was carried out is not known", Span(*after))]
    Silent {
        /// How long the answer was waited for.
        after: Duration,
    },
}

impl QueryError {
    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Driver(error) => error.code(),
            #[cfg(feature = "cache")]
            Self::Cell(_) => None,
            Self::Silent { .. } => None,
        }
    }

    fn is_lost(&self) -> bool {
        match self {
            Self::Driver(error) => is_lost(error),
            #[cfg(feature = "cache")]
            Self::Cell(_) => false,
            Self::Silent { .. } => true,
        }
    }
}

/// No connection became free in time, and who has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The pool.
    pub pool: &'static str,
    /// Connections with a holder.
    pub busy: u32,
    /// Connections the pool may have.
    pub size_max: u32,
    /// Tasks still waiting.
    pub waiting: u32,
    /// How long this one has waited.
    pub waited: Duration,
    /// Who has held a connection for the longest time.
    pub longest_holder: Option<Holder>,
}

impl std::error::Error for Exhausted {}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, busy, size_max, waiting, waited, longest_holder } = self;
        write!(f, "pool {pool} exhausted: {busy} of {size_max} busy, none became free in {}", Span(*waited))?;
        if *waiting > 0 {
            write!(f, ", {waiting} more waiting")?;
        }
        if let Some(holder) = longest_holder {
            write!(f, "; longest holder: {holder}")?;
        }
        f.write_str("; make transactions shorter, or see `pgprime plan` for the size")
    }
}

/// Who has a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Where in the source it was taken.
    pub taken_at: &'static Location<'static>,
    /// How long it has been held.
    pub held: Duration,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} for {}", self.taken_at.file(), self.taken_at.line(), Span(self.held))
    }
}

/// A connection could not be opened. Nothing was sent on behalf of the application.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No server process was reached: refused, unreachable, timed out, or the name is unknown.
    #[error("connect to {target}: {reason}")]
    Unreachable {
        /// Host, port, database and user, without the password.
        target: String,
        /// What happened.
        reason: String,
    },
    /// A server answered and cannot take the connection now: starting up, shutting down, or too many connections.
    #[error("connect to {target}: {reason}")]
    Unavailable {
        /// Host, port, database and user, without the password.
        target: String,
        /// The server's words.
        reason: String,
        /// The server's SQLSTATE.
        sqlstate: String,
    },
    /// The server refused: password, database, TLS or `pg_hba.conf`.
    #[error("login to {target}: {reason}")]
    Rejected {
        /// Host, port, database and user, without the password.
        target: String,
        /// The server's words, or what TLS found.
        reason: String,
        /// The server's SQLSTATE, or 08004.
        sqlstate: String,
    },
}

impl ConnectError {
    /// [`Step::Connect`] or [`Step::Login`].
    pub fn step(&self) -> Step {
        match self {
            Self::Unreachable { .. } | Self::Unavailable { .. } => Step::Connect,
            Self::Rejected { .. } => Step::Login,
        }
    }

    /// The server's SQLSTATE, or 08001 when none was reached.
    pub fn sqlstate(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "08001",
            Self::Unavailable { sqlstate, .. } | Self::Rejected { sqlstate, .. } => sqlstate,
        }
    }
}

/// Whether the database gave the transaction up for another's sake, so that running the whole of it again is right.
fn is_conflict(code: &SqlState) -> bool {
    *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
}

/// Whether the connection is gone: closed, or ended by the server (class 57P: shutdown, crash, being started).
fn is_lost(source: &tokio_postgres::Error) -> bool {
    match source.code() {
        Some(code) => code.code().starts_with("57P") || code.code().starts_with("08"),
        None => {
            source.is_closed()
                || std::error::Error::source(source).is_some_and(|cause| cause.is::<std::io::Error>())
        }
    }
}

/// The driver's errors keep what the database said in their source.
fn describe(source: &tokio_postgres::Error) -> String {
    let Some(said) = source.as_db_error() else { return source.to_string() };
    let mut text = format!("{} ({})", said.message(), said.code().code());
    if let Some(hint) = said.hint() {
        let _ = write!(text, "; {hint}");
    }
    text
}

/// A duration as people say it: `12 ms`, `1.5 s`.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            seconds if seconds < 1.0 => write!(f, "{:.0} ms", seconds * 1_000.0),
            seconds if seconds < 10.0 => write!(f, "{seconds:.1} s"),
            seconds => write!(f, "{seconds:.0} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhaustion_says_who_and_what_to_do() {
        let holder = Holder { taken_at: Location::caller(), held: Duration::from_millis(9_800) };
        let mut error = Exhausted {
            pool: "main",
            busy: 16,
            size_max: 16,
            waiting: 3,
            waited: Duration::from_secs(10),
            longest_holder: None,
        };
        let advice = "; make transactions shorter, or see `pgprime plan` for the size";
        let expected = "pool main exhausted: 16 of 16 busy, none became free in 10 s, 3 more waiting";
        assert_eq!(error.to_string(), format!("{expected}{advice}"));
        let line = holder.taken_at.line();
        error.longest_holder = Some(holder);
        let text = error.to_string();
        assert!(text.contains(&format!("; longest holder: {}:{line} for 9.8 s; ", file!())), "{text}");
        let error = Error::Exhausted(Box::new(error));
        assert_eq!((error.step(), error.sqlstate(), error.is_retryable()), (Step::Wait, "53300", true));
    }
}
