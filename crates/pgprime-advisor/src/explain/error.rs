//! Why there is no plan.

use std::time::Duration;

use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

use crate::Missing;
use crate::sql::{Position, Refusal, Statement};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// It is not safe, or cannot be planned. Nothing was executed.
    #[error("refused: {0}; nothing was executed")]
    Refused(#[source] Refusal),
    /// More or fewer values than parameters.
    #[error("{given} values are given and the statement has {expected} parameters")]
    ParameterCount {
        /// How many were given.
        given: usize,
        /// How many it has.
        expected: usize,
    },
    /// A given value is not one of the type that the parameter has.
    #[error("a value does not fit its parameter: {message} (parameters: {types})")]
    ParameterValue {
        /// What the server said.
        message: String,
        /// The parameters with their types.
        types: String,
    },
    /// The server does not take the statement.
    #[error("{message}{}{}", at(.position.as_deref()), said(.hint.as_ref()))]
    Statement {
        /// What the server said.
        message: String,
        /// Where in the statement.
        position: Option<Box<Position>>,
        /// What to do.
        hint: Option<String>,
    },
    /// It took longer than it may.
    #[error("stopped after {} ms, the limit for a statement", .limit.as_millis())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// A lock of another transaction stood in the way.
    #[error(
        "a relation that it needs is locked by another transaction for longer than {} ms, the limit for waiting",
        .limit.as_millis()
    )]
    Locked {
        /// The limit.
        limit: Duration,
    },
    /// The role may not do this.
    #[error("{message}{}", grant(.statement.as_ref()))]
    Denied {
        /// What the server said.
        message: String,
        /// The statement that allows it.
        statement: Option<String>,
    },
    /// What is needed is not there.
    #[error("{} cannot be seen: {}{}", .0.what, .0.why, grant(.0.statement.as_ref()))]
    Missing(Missing),
    /// There is no such statement in pg_stat_statements.
    #[error("pg_stat_statements has no statement with the number {query_id} in this database")]
    UnknownQueryId {
        /// The number that was asked for.
        query_id: i64,
    },
    /// The connection, or a step that has to succeed.
    #[error("cannot {step}: {source}")]
    Query {
        /// What was tried.
        step: &'static str,
        /// What went wrong.
        source: tokio_postgres::Error,
    },
    /// The server's answer is not what it should be.
    #[error("the server's answer to {step} cannot be read: {reason}")]
    Answer {
        /// What was asked.
        step: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl ExplainError {
    pub(super) fn query(step: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |source| Self::Query { step, source }
    }

    pub(super) fn answer(step: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |error| Self::Answer { step, reason: error.to_string() }
    }

    /// Whether the connection is lost, rather than something wrong with the statement.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Query { source, .. } if source.code().is_none())
    }

    /// What the server said.
    pub(super) fn state(&self) -> Option<&SqlState> {
        if let Self::Query { source, .. } = self { source.code() } else { None }
    }

    /// The error in the words of whoever gave the statement. What was sent, if places in it mean anything, is a prefix and
    /// the statement's text. A limit that was reached is not the statement's error.
    pub(super) fn about(self, statement: &Statement, sent: Option<(&str, &str)>, role: &str) -> Self {
        let Self::Query { source, .. } = &self else { return self };
        let Some(said) = source.as_db_error() else { return self };
        if [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE].contains(said.code()) {
            return self;
        }
        if *said.code() == SqlState::INSUFFICIENT_PRIVILEGE {
            return Self::Denied {
                statement: grant_for(said, statement, role),
                message: said.message().to_owned(),
            };
        }
        let position = sent.and_then(|(prefix, text)| position(said, text, prefix));
        let message = said.message().to_owned();
        let hint = hint(said).map(str::to_owned).or_else(|| said.hint().map(str::to_owned));
        Self::Statement { message, position: position.map(Box::new), hint }
    }

    /// Waiting that came to its end.
    pub(super) fn limited(self, limits: &super::request::Limits) -> Self {
        let is_timeout = |error: &Self| matches!(error, Self::Query { source, .. } if source.as_db_error().is_some_and(|said| said.message().contains("statement timeout")));
        match self.state() {
            Some(state) if *state == SqlState::LOCK_NOT_AVAILABLE => {
                Self::Locked { limit: limits.lock_timeout }
            }
            Some(state) if *state == SqlState::QUERY_CANCELED && is_timeout(&self) => {
                Self::TimedOut { limit: limits.statement_timeout }
            }
            _ => self,
        }
    }
}

fn position(said: &DbError, text: &str, prefix: &str) -> Option<Position> {
    let Some(ErrorPosition::Original(place)) = said.position() else { return None };
    // The server counts characters from 1.
    let characters = usize::try_from(*place).ok()?.checked_sub(1 + prefix.chars().count())?;
    let offset = text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset);
    Some(Position::at(text, offset))
}

/// What helps with a text whose constants were taken out.
fn hint(said: &DbError) -> Option<&'static str> {
    const TYPES: &str =
        "the type of a parameter cannot be told: write it behind the parameter, such as $1::integer";
    let of_types = [
        SqlState::INDETERMINATE_DATATYPE,
        SqlState::AMBIGUOUS_FUNCTION,
        SqlState::AMBIGUOUS_PARAMETER,
        SqlState::UNDEFINED_PARAMETER,
    ];
    of_types.contains(said.code()).then_some(TYPES)
}

/// The grant that a refusal asks for: `permission denied for table t`.
fn grant_for(said: &DbError, statement: &Statement, role: &str) -> Option<String> {
    let (kind, name) = said.message().strip_prefix("permission denied for ")?.split_once(' ')?;
    let role = crate::sql::quoted(role);
    if kind == "schema" {
        return Some(format!("GRANT USAGE ON SCHEMA {} TO {role}", crate::sql::quoted(name)));
    }
    let table = statement.tables().find(|table| table.name == name)?;
    let right = match statement.kind() {
        crate::sql::StatementKind::Write { command: command @ ("INSERT" | "UPDATE" | "DELETE") } => {
            format!("SELECT, {command}")
        }
        _ => "SELECT".to_owned(),
    };
    Some(format!("GRANT {right} ON {} TO {role}", table.quoted()))
}

fn at(position: Option<&Position>) -> String {
    position.map(|position| format!(", at {position}")).unwrap_or_default()
}

fn said(hint: Option<&String>) -> String {
    hint.map(|hint| format!("; {hint}")).unwrap_or_default()
}

fn grant(statement: Option<&String>) -> String {
    statement.map(|statement| format!("; to allow it: {statement}")).unwrap_or_default()
}
