//! The answer: what a text reads, writes and controls.

use std::collections::BTreeSet;
use std::fmt;

/// What a text of one or several statements reads and writes. Tables are named `schema.table`, quoted where SQL needs it,
/// one name for each table in all instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Tables whose contents the result depends on: those behind views and functions, and all partitions' roots and leaves.
    /// A materialized view stands for itself.
    pub reads: BTreeSet<String>,
    /// What it may change.
    pub writes: Writes,
    /// What it does to the transaction it runs in.
    pub control: Control,
    /// Whether it changes definitions: afterwards what is known of the schema is out of date.
    pub changes_definitions: bool,
    /// Whether it changes what later texts of the same session mean: `search_path`, the role, a setting that results depend on, a
    /// temporary view. From then on footprints may be wrong for that session.
    pub changes_session: bool,
    /// Whether it may leave something in its session that others are not to find there: a setting, a temporary table, or what
    /// `changes_session` stands for.
    pub leaves_traces: bool,
    /// Changes whenever the definition of anything the text refers to (a view, a function, columns of a table) changes.
    pub definitions: [u8; 32],
    /// Whether the result may be kept and served again; else all reasons against it, the gravest first.
    pub kept: Result<(), Vec<NotKept>>,
}

/// What a text may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Nothing: it only reads.
    Nothing,
    /// These tables, cascades, partitions and triggers included; never empty.
    Tables(BTreeSet<String>),
    /// It cannot be told what; `because` says why, for people.
    Anything {
        /// Such as `function insurance.bind() runs SQL that it puts together`.
        because: String,
    },
}

/// What a text does to the transaction it runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Control {
    /// Nothing.
    None,
    /// It begins, ends or prepares one, or commits within a procedure.
    Some,
}

/// One reason why a result must not be kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotKept {
    /// Which.
    pub reason: NotKeptReason,
    /// What it is about, such as `random()` or `insurance.secrets`; empty where the reason says it all.
    pub object: String,
}

/// Why a result must not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NotKeptReason {
    /// It is no SELECT, VALUES or TABLE; or several statements.
    NotARead,
    /// It writes.
    Writes,
    /// A row lock: FOR UPDATE, FOR SHARE.
    Locks,
    /// A volatile function: another value with each call.
    Volatile,
    /// A function of the time or of the session's settings (`now()`, `current_setting`): may be kept where the caller says so.
    Stable,
    /// A table with row security that holds for this role.
    RowSecurity,
    /// A temporary table.
    Temporary,
    /// A foreign table: its changes are not seen.
    Foreign,
    /// A system catalog or statistics view: its changes are not seen.
    System,
    /// A function that reads or does what cannot be seen through.
    Opaque,
    /// A name that the catalogs did not have when they were read.
    Unknown,
    /// A text that PostgreSQL's grammar of the parser at hand does not take.
    Unparsed,
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match self.reason {
            NotKeptReason::NotARead => write!(f, "it is not one statement that only reads"),
            NotKeptReason::Writes if object.is_empty() => write!(f, "it writes"),
            NotKeptReason::Writes => write!(f, "it writes to {object}"),
            NotKeptReason::Locks => write!(f, "it locks rows"),
            NotKeptReason::Volatile => write!(f, "{object} gives another value with each call"),
            NotKeptReason::Stable => write!(
                f,
                "{object} depends on the time or the session; pass its value as a parameter, or allow it for this query"
            ),
            NotKeptReason::RowSecurity => write!(f, "{object} has row security that holds for this role"),
            NotKeptReason::Temporary => write!(f, "{object} is a temporary table"),
            NotKeptReason::Foreign => write!(f, "{object} is a foreign table, whose changes are not seen"),
            NotKeptReason::System => write!(f, "{object} belongs to the system, whose changes are not seen"),
            NotKeptReason::Opaque => write!(f, "what {object} does cannot be seen from outside"),
            NotKeptReason::Unknown => write!(f, "{object} is not known (yet)"),
            NotKeptReason::Unparsed => write!(f, "it cannot be read: {object}"),
        }
    }
}
