//! Why an operation on Redis came to nothing. No caller sees it, since the service goes on without Redis: it is for the log and
//! the report.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::breaker::Failure;

/// What Redis answered goes no further than this into log and report.
const REASON_CHARACTERS_MAX: usize = 300;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("Redis is left alone after failures")]
    Open,
    #[error("Redis is another server than before, and has to be told first what that one may have lost")]
    Moved,
    #[error("{0} took too long")]
    Slow(&'static str),
    #[error("{0} failed: {1}")]
    Failed(&'static str, #[source] RedisError),
    #[error("{0} was answered by something unexpected")]
    Unexpected(&'static str),
}

impl Trouble {
    /// How bad it is; none if nothing was tried, or nothing went wrong.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Trouble::Open | Trouble::Moved => None,
            Trouble::Failed(_, error) if is_lost(error) => Some(Failure::Lost),
            Trouble::Slow(_) | Trouble::Failed(..) | Trouble::Unexpected(_) => Some(Failure::Passing),
        }
    }

    /// In one line, with what to do about it where that is known. No password is in it: neither the driver nor a server
    /// repeats one.
    pub(crate) fn reason(&self) -> String {
        let text = self.to_string();
        let plain = text.chars().take(REASON_CHARACTERS_MAX).map(|c| if c.is_control() { ' ' } else { c });
        plain.chain(self.remedy().chars()).collect()
    }

    fn remedy(&self) -> &'static str {
        let Trouble::Failed(_, error) = self else { return "" };
        let text = error.to_string();
        match (error.kind(), error.code()) {
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) | (_, Some("READONLY")) => {
                ": this is a replica; give the primary's URL, or redis+sentinel:// with its name"
            }
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
                ": give user and password in the URL, special characters as %xx, or ?password_file="
            }
            // In a script an old server does not say which command it is about.
            _ if text.contains("ermissions") || text.contains("user executing the script") => {
                ": the user lacks a command or a key; docs/cache.md lists what has to be allowed"
            }
            _ if text.contains("nknown command") || text.contains("Unknown Redis command") => {
                ": a command is renamed or forbidden; docs/cache.md lists what has to be allowed"
            }
            (ErrorKind::Parse, _) => ": is it Redis that listens there?",
            _ => "",
        }
    }
}

/// Whether another connection is needed; so it is when the primary has become a replica.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::ClusterConnectionNotFound
        || error.code() == Some("READONLY")
}
