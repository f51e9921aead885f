//! Why connections end, and what is said of it.

use std::time::Duration;

use pgprime_pool::CloseReason;

/// Why a client's connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientEnd {
    /// It said goodbye.
    Left,
    /// Its socket was closed.
    Gone,
    Violation(String),
    QueryWaitTimeout(Duration),
    QueryTimeout,
    IdleTimeout,
    IdleTransactionTimeout,
    TransactionTimeout,
    TransactionInStatementMode,
    ParameterRefused(String),
    ServerGone,
    /// The server's own last message has told the client why.
    ServerSaid,
    /// The server went amid a message that the client has part of.
    CutOff,
    DatabaseUnavailable(String),
    Killed,
    Shutdown,
}

impl ClientEnd {
    pub(crate) fn violation(what: String) -> Self {
        Self::Violation(what)
    }

    /// SQLSTATE and text for the client; `None` when it has gone or knows.
    pub(crate) fn message(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Self::Left | Self::Gone | Self::ServerSaid | Self::CutOff => return None,
            Self::Violation(what) => ("08P01", format!("protocol violation: {what}")),
            Self::QueryWaitTimeout(waited) => (
                "57014",
                format!(
                    "query_wait_timeout: no server connection became free within {} s; \
                     see SHOW POOLS, and raise the pool size or lower the load",
                    waited.as_secs()
                ),
            ),
            Self::QueryTimeout => ("57014", "query timeout: the query ran longer than query_timeout".into()),
            Self::IdleTimeout => ("57P05", "client_idle_timeout: the connection was idle for too long".into()),
            Self::IdleTransactionTimeout => {
                ("25P03", "idle transaction timeout: the transaction was idle for longer than idle_transaction_timeout".into())
            }
            Self::TransactionTimeout => {
                ("25P04", "transaction timeout: the transaction ran longer than transaction_timeout".into())
            }
            Self::TransactionInStatementMode => {
                ("0A000", "transaction blocks not allowed in statement pooling mode".into())
            }
            Self::ParameterRefused(reason) => {
                ("22023", format!("the server refused a parameter of this connection: {reason}"))
            }
            Self::ServerGone => ("08006", "server closed the connection unexpectedly; whether the transaction was committed is not known".into()),
            Self::DatabaseUnavailable(reason) => ("08001", format!("server login has been failing, try again later (server_login_retry): {reason}")),
            Self::Killed => ("57P01", "database removed or connection killed by the administrator".into()),
            Self::Shutdown => ("57P01", "the pooler is shutting down".into()),
        })
    }

    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Left => "client close request".into(),
            Self::Gone => "client unexpected eof".into(),
            Self::ServerSaid => "the server ended the session".into(),
            Self::CutOff => "the server closed the connection amid a message".into(),
            other => other.message().map(|(_, text)| text).unwrap_or_default(),
        }
    }
}

/// Why a server's connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerEnd {
    Pool(CloseReason),
    /// Its socket was closed.
    Gone,
    Said(String),
    Violation(String),
    /// It was left in a state that is not worth mending.
    Unclean,
    CleanupFailed(String),
    CheckFailed(String),
    Killed,
    Timeout,
}

impl ServerEnd {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Pool(CloseReason::Lifetime) => "server lifetime over".into(),
            Self::Pool(CloseReason::Idle) => "server idle timeout".into(),
            Self::Pool(CloseReason::Paused) => "pause".into(),
            Self::Pool(CloseReason::Reconnect) => "database configuration changed or RECONNECT".into(),
            Self::Pool(CloseReason::OverLimit) => "connection limit was lowered".into(),
            Self::Pool(CloseReason::Evicted) => "evicted for another pool".into(),
            Self::Gone => "server conn crashed?".into(),
            Self::Said(what) => format!("the server said: {what}"),
            Self::Violation(what) => format!("protocol violation by the server: {what}"),
            Self::Unclean => "client left it in a transaction or query".into(),
            Self::CheckFailed(what) => format!("server_check_query failed: {what}"),
            Self::CleanupFailed(what) => format!("reset query failed: {what}"),
            Self::Killed => "killed by the administrator".into(),
            Self::Timeout => "query timeout".into(),
        }
    }
}
