//! One recommended setting.

use std::fmt;

use serde::Serialize;

use super::value::Value;

/// Settings that take effect only when the server starts; `autovacuum_max_workers` is judged by version.
const RESTART: &[&str] = &[
    "max_connections",
    "superuser_reserved_connections",
    "shared_buffers",
    "huge_pages",
    "io_method",
    "wal_buffers",
    "max_worker_processes",
    "shared_preload_libraries",
    "pg_stat_statements.max",
];

/// A setting with the value that fits, and why.
///
/// Displayed as a line of postgresql.conf: `shared_buffers = 4GB`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// As PostgreSQL names it.
    pub name: &'static str,
    /// What fits best.
    pub value: Value,
    /// Live values that do as well, so that nobody restarts a server for a difference without effect.
    pub accepted: Accepted,
    /// Why, with the figures it comes from.
    pub reason: String,
    /// Whether a change takes effect only when the server starts.
    pub restart: bool,
    /// What it belongs to.
    pub section: Section,
}

impl Recommendation {
    pub(super) fn new(section: Section, name: &'static str, value: Value, reason: impl Into<String>) -> Self {
        let (accepted, restart) = (Accepted::Exactly, RESTART.contains(&name));
        Self { name, value, accepted, reason: reason.into(), restart, section }
    }

    pub(super) fn accepting(mut self, accepted: Accepted) -> Self {
        self.accepted = accepted;
        self
    }

    pub(super) fn with_restart(mut self, restart: bool) -> Self {
        self.restart = restart;
        self
    }
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name, self.value)
    }
}

/// Live values that are as good as the recommended one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Accepted {
    /// The recommended one alone.
    Exactly,
    /// From the first to the second, both included.
    Between(Value, Value),
    /// This or more.
    AtLeast(Value),
    /// One of these words.
    AnyOf(Vec<&'static str>),
    /// Every list that holds this name.
    Containing(&'static str),
}

impl Accepted {
    pub(super) fn memory(bytes_min: u64, bytes_max: u64) -> Self {
        Self::Between(Value::Memory(bytes_min), Value::Memory(bytes_max))
    }

    pub(super) fn integers(min: u32, max: u32) -> Self {
        Self::Between(Value::Integer(min.into()), Value::Integer(max.into()))
    }

    pub(super) fn floats(min: f64, max: f64) -> Self {
        Self::Between(Value::Float(min), Value::Float(max))
    }

    pub(super) fn seconds(min: u64, max: u64) -> Self {
        Self::Between(Value::seconds(min), Value::seconds(max))
    }

    /// Whether a live value, of the type of the recommended one, does as well.
    pub(super) fn admits(&self, live: &Value, recommended: &Value) -> bool {
        let at_least = |min: &Value| live.magnitude() >= min.magnitude();
        match self {
            Self::Exactly => live == recommended,
            Self::Between(min, max) => at_least(min) && live.magnitude() <= max.magnitude(),
            Self::AtLeast(min) => at_least(min),
            Self::AnyOf(words) => words.contains(&live.plain().as_str()),
            Self::Containing(name) => holds(&live.plain(), name),
        }
    }
}

/// Whether a list such as that of `shared_preload_libraries` holds a library, with or without quotes and folder.
pub(super) fn holds(list: &str, library: &str) -> bool {
    let bare = |item: &str| {
        let item = item.trim().trim_matches('"');
        let item = item.strip_prefix("$libdir/").unwrap_or(item);
        item.strip_suffix(".so").unwrap_or(item) == library
    };
    list.split(',').any(bare)
}

/// What a setting belongs to. Displayed as a heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// How many may connect.
    Connections,
    /// How memory is divided.
    Memory,
    /// What reading costs.
    Storage,
    /// The write-ahead log and checkpoints.
    WriteAheadLog,
    /// Queries on several cores.
    ParallelQuery,
    /// How plans are made.
    Planner,
    /// Vacuum and analyze by the server itself.
    Autovacuum,
    /// What the server says of its work.
    Statistics,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "Connections",
            Self::Memory => "Memory",
            Self::Storage => "Storage",
            Self::WriteAheadLog => "Write-ahead log and checkpoints",
            Self::ParallelQuery => "Parallel query",
            Self::Planner => "Planner",
            Self::Autovacuum => "Autovacuum",
            Self::Statistics => "Statistics",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_searched_by_whole_names() {
        for (list, expected) in [
            ("pg_stat_statements", true),
            ("auto_explain, pg_stat_statements", true),
            ("\"pg_stat_statements\",citus", true),
            ("$libdir/pg_stat_statements", true),
            ("pg_stat_statements.so", true),
            ("", false),
            ("my_pg_stat_statements", false),
            ("pg_stat_statements_x, auto_explain", false),
        ] {
            assert_eq!(holds(list, "pg_stat_statements"), expected, "{list}");
        }
    }
}
