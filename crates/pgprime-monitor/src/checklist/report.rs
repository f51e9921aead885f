//! What the checklist says, for people, REST and the dashboard alike.

use jiff::Timestamp;
use serde::Serialize;

use super::evidence::Running;
use crate::health::Missing;

/// At which level an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The server and its settings.
    Database,
    /// How the application uses it.
    Application,
    /// What single statements do.
    Query,
    /// Who would notice.
    Monitoring,
}

impl Level {
    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Database => "Database",
            Self::Application => "Application",
            Self::Query => "Queries",
            Self::Monitoring => "Monitoring",
        }
    }
}

/// Whether an item is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not.
    NotMet,
    /// What it would be judged by cannot be seen.
    CannotTell,
}

/// What a fix is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FixKind {
    /// Statements for psql.
    Sql,
    /// A line for a configuration file.
    Setting,
    /// A command for a shell.
    Command,
    /// Words for a person.
    Advice,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// What the text is made of.
    pub kind: FixKind,
    /// The text, of one line or more.
    pub text: String,
}

/// One item of the checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name for programs, as `database.shared_buffers`.
    pub id: &'static str,
    /// Where it belongs.
    pub level: Level,
    /// What is to be so, as `shared_buffers is about 25 % of memory`.
    pub title: &'static str,
    /// Whether it is.
    pub verdict: Verdict,
    /// The figures that it is judged by.
    pub evidence: String,
    /// Why it matters, or why it cannot be told.
    pub why: String,
    /// What to do, where something is to be done.
    pub fix: Option<Fix>,
    /// Whether the fix takes effect only when the server is started again.
    pub needs_restart: bool,
}

/// How many items have which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Met.
    pub met: usize,
    /// Not met.
    pub not_met: usize,
    /// Neither.
    pub cannot_tell: usize,
}

/// The checklist of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChecklistReport {
    /// When its evidence was gathered, by this machine's clock.
    pub taken_at: Timestamp,
    /// The database.
    pub database: String,
    /// The server's version, as it says.
    pub server_version: String,
    /// How many items have which verdict.
    pub counts: Counts,
    /// The items, by level.
    pub items: Vec<Item>,
    /// What could not be seen.
    pub missing: Vec<Missing>,
    /// What the running monitor knew; `None` where none was asked.
    pub running: Option<Running>,
}
