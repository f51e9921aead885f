//! Why a text is not one statement.

use serde::Serialize;

use super::position::Position;

/// A text that is not one statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum SqlError {
    /// Nothing but white space and comments.
    #[error("there is no statement in it")]
    Empty,
    /// More than one statement.
    #[error("{count} statements, where one is expected; the second begins at {second}")]
    Several {
        /// How many there are.
        count: usize,
        /// Where the second begins.
        second: Position,
    },
    /// PostgreSQL's grammar does not take it.
    #[error("{message}{}{}", at(.position.as_ref()), hint(*.is_cut))]
    Syntax {
        /// What PostgreSQL's parser says.
        message: String,
        /// Where, if the parser's refusal can be traced to a place.
        position: Option<Position>,
        /// Whether it ends in the middle, as texts do that were cut by whatever recorded them.
        is_cut: bool,
    },
    /// Longer than is read.
    #[error("{bytes} bytes; statements up to {bytes_max} bytes are read")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit, [`super::TEXT_BYTES_MAX`].
        bytes_max: usize,
    },
    /// Nested deeper than is read.
    #[error(
        "nested too deep at {position}: expressions and queries up to about {nesting_max} levels are read"
    )]
    TooDeep {
        /// Where the limit is passed.
        position: Position,
        /// The limit, [`super::NESTING_MAX`].
        nesting_max: usize,
    },
    /// The text holds a zero byte, which no statement can.
    #[error("there is a zero byte in it at {position}")]
    ZeroByte {
        /// Where.
        position: Position,
    },
    /// The parser failed for a reason of its own.
    #[error("it could not be parsed: {reason}")]
    Parser {
        /// What it said.
        reason: String,
    },
}

impl SqlError {
    /// The place in the text that the error is about.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::Several { second: position, .. }
            | Self::TooDeep { position, .. }
            | Self::ZeroByte { position } => Some(position),
            Self::Syntax { position, .. } => position.as_ref(),
            Self::Empty | Self::TooLong { .. } | Self::Parser { .. } => None,
        }
    }
}

fn at(position: Option<&Position>) -> String {
    position.map(|position| format!(", at {position}")).unwrap_or_default()
}

fn hint(is_cut: bool) -> &'static str {
    if is_cut {
        "; the text looks cut off: statements seen in pg_stat_activity or a log end after track_activity_query_size bytes"
    } else {
        ""
    }
}
