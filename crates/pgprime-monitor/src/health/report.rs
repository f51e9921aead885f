//! What a health check says, for people, REST, alerts and the dashboard alike.

use jiff::Timestamp;
use pgprime_readonly::Missing;
use serde::Serialize;

/// How well something is, in ascending gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Well.
    Ok,
    /// It could not be seen; the text says why.
    Unknown,
    /// Somebody should look at it this week.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Group {
    /// Whether the database answers at all.
    Database,
    /// Connections of the server and of pools.
    Connections,
    /// The pooler in front: pgprime's or PgBouncer.
    Pooler,
    /// How long statements take.
    Queries,
    /// Buffers and indexes in memory.
    Cache,
    /// The result cache.
    ResultCache,
    /// Replicas, lag and slots.
    Replication,
    /// How indexes are used.
    Indexes,
    /// Wasted space.
    Bloat,
    /// Locks and who blocks whom.
    Locks,
    /// Long and idle transactions.
    Transactions,
    /// Autovacuum and wraparound.
    Vacuum,
    /// Checkpoints and WAL.
    Checkpoints,
    /// Disk.
    Disk,
    /// Errors, deadlocks, checksum failures.
    Errors,
    /// Materialized views.
    Views,
}

impl Group {
    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Database => "Database",
            Self::Connections => "Connections",
            Self::Pooler => "Pooler",
            Self::Queries => "Queries",
            Self::Cache => "Memory",
            Self::ResultCache => "Result cache",
            Self::Replication => "Replication",
            Self::Indexes => "Indexes",
            Self::Bloat => "Bloat",
            Self::Locks => "Locks",
            Self::Transactions => "Transactions",
            Self::Vacuum => "Vacuum",
            Self::Checkpoints => "Checkpoints",
            Self::Disk => "Disk",
            Self::Errors => "Errors",
            Self::Views => "Views",
        }
    }
}

/// The unit of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// 0 to 100.
    Percent,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// A number of things.
    Count,
    /// Things per second.
    PerSecond,
    /// Transaction ids.
    Transactions,
}

/// From where on a value is bad. Above or below, whichever `critical` is of `warning`. A bound that is infinite is never
/// reached; JSON has null for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Thresholds {
    /// From here on it is a warning.
    pub warning: f64,
    /// From here on it is critical.
    pub critical: f64,
}

impl Thresholds {
    /// Whether small values are the bad ones.
    #[must_use]
    pub fn is_below(&self) -> bool {
        self.critical < self.warning
    }

    /// What a value means. A bound itself is bad above, and still well below: `disk.free` of 10 % at `{20, 10}` is a
    /// warning, `connections.used` of 90 % at `{80, 90}` critical.
    #[must_use]
    pub fn status(&self, value: f64) -> Status {
        let is_beyond = |bound: f64| if self.is_below() { value < bound } else { value >= bound };
        match value {
            _ if is_beyond(self.critical) => Status::Critical,
            _ if is_beyond(self.warning) => Status::Warning,
            _ => Status::Ok,
        }
    }
}

/// How a value moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// The value that far back, by which the trend is told.
    pub before: f64,
    /// Seconds between then and now.
    pub seconds: f64,
    /// Seconds until the critical threshold at this pace, where it moves towards it.
    pub seconds_until_critical: Option<f64>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Its name for alerts, series and settings, such as `connections.used`.
    pub id: String,
    /// What it is about.
    pub group: Group,
    /// Its title, such as `Connections in use`.
    pub title: String,
    /// How well it is.
    pub status: Status,
    /// The value, where there is a single one.
    pub value: Option<f64>,
    /// The value's unit.
    pub unit: Unit,
    /// From where on it is bad, where a value decides.
    pub thresholds: Option<Thresholds>,
    /// A sentence with the figures in it.
    pub text: String,
    /// How it moves, once there is enough history.
    pub trend: Option<Trend>,
    /// What to do, where something is.
    pub action: Option<String>,
    /// A statement or command that does it, to copy. Several stand on a line each, to be run one by one: in one `psql -c` they
    /// would be one transaction, which ALTER SYSTEM refuses.
    pub statement: Option<String>,
    /// What the value is made of, the worst first: sessions, tables, replicas; at most 20.
    pub details: Vec<serde_json::Value>,
    /// Well as far as was seen, which is not enough to call an alert off.
    #[serde(skip)]
    pub is_tentative: bool,
}

/// All checks at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HealthReport {
    /// When it was taken, by this machine's clock.
    pub taken_at: Timestamp,
    /// The gravest status of all checks.
    pub status: Status,
    /// `15.18 …`, where the database answered.
    pub server_version: Option<String>,
    /// Whether it is a replica; `None` when it did not answer.
    pub in_recovery: Option<bool>,
    /// How long taking it took, in milliseconds.
    pub took_ms: f64,
    /// The checks, by group.
    pub checks: Vec<Check>,
    /// What could not be seen.
    pub missing: Vec<Missing>,
}
