//! Why the database gives no answer.

use std::time::Duration;

use pgprime_client::ConnectError;
use serde::Serialize;
use tokio_postgres::error::SqlState;

use super::words;

/// What kind of silence it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DownKind {
    /// Nothing listens there, or the network does not lead there.
    Unreachable,
    /// Something takes connections and does not answer.
    Silent,
    /// All connections are taken (53300).
    Full,
    /// It is starting up, shutting down or recovering (57P03 and its like).
    Starting,
    /// It refuses this login: password, database, TLS or `pg_hba.conf`.
    Rejected,
    /// The connection was lost during the look.
    Lost,
    /// What answers is older than PostgreSQL 13, or no PostgreSQL at all.
    Foreign,
    /// No connection of our own pool was free.
    Busy,
}

/// The database gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{text}")]
pub struct Down {
    /// What kind of silence it is.
    pub kind: DownKind,
    /// The SQLSTATE, where there is one.
    pub sqlstate: Option<String>,
    /// What happened, without secrets.
    pub text: String,
}

impl Down {
    /// Nothing came within this time.
    #[must_use]
    pub fn silent(after: Duration) -> Self {
        let text = format!("no answer within {}", words::seconds(after.as_secs_f64()));
        Self { kind: DownKind::Silent, sqlstate: None, text }
    }

    /// What the server says is not PostgreSQL 13 or newer.
    pub(super) fn foreign(text: impl Into<String>) -> Self {
        Self { kind: DownKind::Foreign, sqlstate: None, text: text.into() }
    }

    /// A connection could not be opened.
    #[must_use]
    pub fn of_connect(error: &ConnectError) -> Self {
        let kind = match error {
            ConnectError::Unreachable { reason, .. } if reason.contains("no answer within") => {
                DownKind::Silent
            }
            ConnectError::Unreachable { .. } => DownKind::Unreachable,
            ConnectError::Unavailable { sqlstate, reason, .. } => unavailable(sqlstate, reason),
            ConnectError::Rejected { .. } => DownKind::Rejected,
        };
        let said = !matches!(error, ConnectError::Unreachable { .. });
        let sqlstate = said.then(|| error.sqlstate().to_owned());
        let code = sqlstate.as_ref().map_or(String::new(), |code| format!(" ({code})"));
        Self { kind, text: format!("{error}{code}"), sqlstate }
    }

    /// A pool gave no connection.
    #[must_use]
    pub fn of_pool(error: &pgprime_client::Error) -> Self {
        use pgprime_client::Error;
        match error {
            Error::Down { cause, .. } => Self::of_connect(cause),
            Error::Query { .. } | Error::CommitUncertain { .. } => Self {
                kind: DownKind::Lost,
                sqlstate: Some(error.sqlstate().to_owned()),
                text: error.to_string(),
            },
            _ => Self {
                kind: DownKind::Busy,
                sqlstate: Some(error.sqlstate().to_owned()),
                text: error.to_string(),
            },
        }
    }

    /// The first statement failed.
    #[must_use]
    pub fn of_driver(error: &tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            let text = format!("the connection was lost: {error}");
            return Self { kind: DownKind::Lost, sqlstate: None, text };
        };
        let sqlstate = said.code().code().to_owned();
        let kind = match said.code() {
            state if *state == SqlState::QUERY_CANCELED => DownKind::Silent,
            state if state.code().starts_with("57P") => DownKind::Starting,
            _ => unavailable(&sqlstate, said.message()),
        };
        Self { kind, text: format!("{} ({sqlstate})", said.message()), sqlstate: Some(sqlstate) }
    }
}

/// Poolers have a SQLSTATE of their own for everything, and say it in words.
fn unavailable(sqlstate: &str, reason: &str) -> DownKind {
    match sqlstate {
        "53300" => DownKind::Full,
        _ if reason.contains("no more connections allowed") => DownKind::Full,
        state if state.starts_with("57P") => DownKind::Starting,
        state if state.starts_with("08") => DownKind::Unreachable,
        state if state.starts_with("28") || state == "3D000" => DownKind::Rejected,
        state if state.starts_with("53") || state.starts_with("58") => DownKind::Unreachable,
        _ => DownKind::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_servers_words_mean() {
        let unavailable = |sqlstate: &str, reason: &str| {
            let (target, reason, sqlstate) = ("db:5432/app as app".into(), reason.into(), sqlstate.into());
            Down::of_connect(&ConnectError::Unavailable { target, reason, sqlstate })
        };
        for (sqlstate, reason, kind) in [
            ("53300", "sorry, too many clients already", DownKind::Full),
            ("08P01", "no more connections allowed (max_client_conn)", DownKind::Full),
            ("57P03", "the database system is starting up", DownKind::Starting),
            ("08P01", "server login has been failing", DownKind::Unreachable),
        ] {
            let down = unavailable(sqlstate, reason);
            assert_eq!(down.kind, kind, "{sqlstate} {reason}");
            assert!(down.text.contains(reason) && down.text.contains(sqlstate), "{}", down.text);
        }
        let silent = ConnectError::Unreachable {
            target: "db:5432/app as app".into(),
            reason: "no answer within 5000 ms".into(),
        };
        assert_eq!(Down::of_connect(&silent).kind, DownKind::Silent);
        assert_eq!(Down::silent(Duration::from_secs(5)).text, "no answer within 5.0 s");
    }
}
