//! What a failure means to whoever asked for the index.

use tokio_postgres::error::SqlState;

use super::super::error::IndexesError;

/// Why an index is not there, before it is known what was left behind.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) sqlstate: Option<String>,
    pub(super) is_clean: bool,
    /// Nothing more can be done on this connection.
    pub(super) is_connection_lost: bool,
}

impl Failure {
    /// Something that was noticed before anything was done.
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), sqlstate: None, is_clean: true, is_connection_lost: false }
    }

    pub(super) fn of(error: &IndexesError) -> Self {
        let state = state(error);
        let said = error.said();
        let advice = state.and_then(|state| what_to_do(state, &said));
        let reason = match advice {
            Some(advice) => format!("{said}: {advice}"),
            None => error.to_string(),
        };
        Self {
            reason,
            sqlstate: state.map(|state| state.code().to_owned()),
            is_clean: true,
            is_connection_lost: error.is_connection_lost(),
        }
    }

    /// Something stays, and this is how it goes.
    pub(super) fn leaving(mut self, left: &str) -> Self {
        self.is_clean = false;
        self.reason = format!("{}; {left}", self.reason);
        self
    }
}

pub(super) fn state(error: &IndexesError) -> Option<&SqlState> {
    if let IndexesError::Query { source, .. } = error { source.code() } else { None }
}

fn what_to_do(state: &SqlState, said: &str) -> Option<&'static str> {
    let advice = match state.code() {
        "55P03" => {
            "another session holds the table, or a transaction that has written it does not end: wait for it, or allow \
             more time for locks"
        }
        "57014" if said.contains("statement timeout") => {
            "the build takes longer than it may: allow it more time"
        }
        "57014" => "somebody cancelled the build",
        "53100" => "the server's disk is full: free space, or move the index to another tablespace",
        "53200" => "the server has no memory left: try again, or lower maintenance_work_mem",
        "40P01" => "another session changes the table or builds an index on it: try again when it is done",
        "42501" => {
            "only the owner of a table creates indexes on it: connect as the owner, or as a member of that role"
        }
        "42P07" => "the name was taken meanwhile: ask for advice again",
        "42P01" | "42703" | "3F000" => "the table has changed meanwhile: ask for advice again",
        "54000" => "a value of the column is too large for such an index",
        "25001" => "indexes are not created concurrently in a transaction: use a connection that is in none",
        "25006" => "the session is read-only: connect to the primary, as a role that may write",
        _ => return None,
    };
    Some(advice)
}
