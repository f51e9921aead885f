//! Why something could not be done.

use tokio_postgres::error::SqlState;

use crate::names::ViewName;

/// Why something could not be done with views.
#[derive(Debug, thiserror::Error)]
pub enum ViewsError {
    /// The connection was lost, or the server refused a step.
    #[error("{step}: {}", described(.source))]
    Database {
        /// What was being done.
        step: String,
        /// What the server or the connection said.
        source: tokio_postgres::Error,
    },
    /// The role may not do what a step needs.
    #[error("{step}: {}; {advice}", described(.source))]
    Privilege {
        /// What was being done.
        step: String,
        /// What the server said.
        source: tokio_postgres::Error,
        /// Which privilege is needed, and how to grant it.
        advice: String,
    },
    /// There is no materialized view of this name.
    #[error("there is no materialized view {view}; `pgprime views apply` creates what is declared")]
    NotFound {
        /// The name that was asked for.
        view: ViewName,
    },
    /// The tables that hold state and history are not there.
    #[error(
        "the tables of pgprime are not in this database; run `pgprime views apply`, or have this SQL run:\n{sql}"
    )]
    NotSetUp {
        /// What makes them.
        sql: &'static str,
    },
    /// Somebody else is at it: another instance applies at the same time.
    #[error("another pgprime is applying views to this database; try again when it is done")]
    Busy,
    /// The server follows another one and cannot be written to.
    #[error("this server is a replica: views are created and refreshed on the primary")]
    Replica,
    /// The server is older than what is supported.
    #[error("PostgreSQL {version} is too old: version 13 or newer is needed")]
    TooOld {
        /// Its version.
        version: String,
    },
    /// What is asked for cannot be done safely.
    #[error("{view}: {reason}")]
    Refused {
        /// The view in question.
        view: ViewName,
        /// Why not, and what to do.
        reason: String,
    },
}

impl ViewsError {
    /// Names the step for what the server said.
    pub(crate) fn at(step: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::of(step.into(), source)
    }

    fn of(step: String, source: tokio_postgres::Error) -> Self {
        if source.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return Self::Database { step, source };
        }
        let message = source.as_db_error().map_or("", |error| error.message()).to_owned();
        let advice = advice(&message).to_owned();
        Self::Privilege { step, source, advice }
    }

    /// What the server calls it, where it was the server.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&SqlState> {
        match self {
            Self::Database { source, .. } | Self::Privilege { source, .. } => source.code(),
            _ => None,
        }
    }

    /// What went wrong, without SQL to run against it.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::NotSetUp { .. } => {
                "the tables of pgprime are not in this database; run `pgprime views apply`".to_owned()
            }
            other => other.to_string(),
        }
    }

    /// Whether the connection was lost, or the server ended it.
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Database { source, .. } => {
                source.is_closed() || source.code().is_none_or(|state| state.code().starts_with("57P"))
            }
            _ => false,
        }
    }

    /// Whether what was to be made does not go with what is there: names, types, values, sizes. A limit that was met, as of
    /// time or of space, says nothing of that.
    pub(crate) fn is_misfit(&self) -> bool {
        let classes = ["22", "23", "42", "54"];
        let denied = self.sqlstate() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
        !denied
            && self
                .sqlstate()
                .is_some_and(|state| classes.iter().any(|class| state.code().starts_with(class)))
    }

    /// Whether a lock was not to be had in time.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        let states = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED];
        self.sqlstate().is_some_and(|state| states.contains(state))
    }
}

/// What the server said, with its detail and hint.
pub(crate) fn described(error: &tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else { return error.to_string() };
    let more = [
        said.detail().map(|detail| format!(" ({detail})")),
        said.hint().map(|hint| format!("; hint: {hint}")),
    ];
    more.into_iter().flatten().fold(said.message().to_owned(), |text, more| text + &more)
}

/// What a role needs for what it was refused.
fn advice(message: &str) -> &'static str {
    if message.contains("must be owner") {
        "a view is changed and refreshed by its owner: connect as that role, or GRANT it to this one"
    } else if message.contains("for materialized view") {
        // Since version 17 the server says the same of a view to be refreshed and of one that it reads.
        "a view is refreshed by its owner or with MAINTAIN on it: connect as that role, or GRANT it to this one; what a \
         view reads needs GRANT SELECT to its owner"
    } else if message.contains("temporary tables") {
        "a refresh beside its readers makes one: GRANT TEMPORARY ON DATABASE to the view's owner"
    } else if message.contains("for database") {
        "GRANT CREATE ON DATABASE to this role, or have its administrator run the SQL that `pgprime views plan` shows"
    } else if message.contains("for schema") {
        "GRANT USAGE, CREATE ON SCHEMA to this role"
    } else {
        "GRANT SELECT on what the view reads to the view's owner"
    }
}
