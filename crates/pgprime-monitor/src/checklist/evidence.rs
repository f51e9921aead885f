//! What items are judged by.

use jiff::Timestamp;
use pgprime_advisor::slow::PoolerRepeat;
use pgprime_capacity::postgres::LiveSetting;
use pgprime_planner::hardware::Hardware;
use pgprime_planner::observe::{Connections, RoleSetting};
use serde::{Deserialize, Serialize};

use crate::health::{Missing, Section};
use crate::pooler::PoolerReport;

/// What items are judged by; a part that could not be seen says why.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// When it was gathered, by this machine's clock.
    pub taken_at: Timestamp,
    /// The server, and who asked.
    pub server: ServerSeen,
    /// The server's machine, as far as it is known.
    pub machine: Hardware,
    /// pg_settings as a new session of this database has it, as far as the role may see it.
    pub settings: Vec<LiveSetting>,
    /// What would hold for settings that the database or all roles have an own value of, as far as that is known.
    pub beneath: Vec<LiveSetting>,
    /// What roles have instead.
    pub role_settings: Vec<RoleSetting>,
    /// Whether pg_stat_statements is created in this database.
    pub has_statements_extension: Section<bool>,
    /// What statements did.
    pub workload: Section<Workload>,
    /// Who is connected.
    pub sessions: Connections,
    /// Servers that follow this one and can answer reads.
    pub replicas: u64,
    /// What the database has counted.
    pub counters: Section<Counters>,
    /// Tables and materialized views, the largest first.
    pub tables: Section<Vec<Table>>,
    /// Indexes that the workload lacks.
    pub advice: Section<IndexAdvice>,
    /// What is wrong with the indexes that there are.
    pub review: Section<IndexReview>,
    /// Materialized views, those that there are and those that would help.
    pub views: Section<Views>,
    /// The pooler in front of the database, where it was asked.
    pub pooling: Option<Section<Pooling>>,
    /// What only the running monitor knows.
    pub running: Option<Running>,
    /// Everything that could not be seen.
    pub missing: Vec<Missing>,
}

/// The server, and who asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerSeen {
    /// As the server writes it, as `15.8 (Debian 15.8-0+deb12u1)`.
    pub version: String,
    /// The major version, as 15.
    pub version_major: u32,
    /// The database that was connected to.
    pub database: String,
    /// The role that asked.
    pub role: String,
    /// Whether it follows another server.
    pub in_recovery: bool,
}

/// What statements of this database did, without those of this program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// Over which time, in seconds.
    pub seconds: f64,
    /// The statements that clients sent, those with the most time first.
    pub statements: Vec<Statement>,
    /// Statements whose text this role may not see.
    pub hidden: u64,
    /// Whether planning is counted.
    pub counts_planning: bool,
    /// The share of the time that statements take which only read, 0 to 1.
    pub read_time_share: Option<f64>,
    /// Connections that were executing, on average.
    pub busy_connections_mean: f64,
    /// A statement that may be run once for each row of another, in words.
    pub repeated: Option<String>,
}

impl Workload {
    /// Executions of all statements.
    #[must_use]
    pub fn calls(&self) -> f64 {
        self.statements.iter().map(|statement| statement.calls).sum()
    }

    /// Their time, in milliseconds.
    #[must_use]
    pub fn exec_ms(&self) -> f64 {
        self.statements.iter().map(|statement| statement.exec_ms).sum()
    }
}

/// What a statement does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatementKind {
    /// It reads.
    Read,
    /// It inserts.
    Insert,
    /// It changes data otherwise, or locks rows.
    Write,
    /// Anything else.
    #[default]
    Other,
}

/// What one statement did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    /// As `pgprime analyze --query-id` takes it.
    pub query_id: String,
    /// Its text on one line, with placeholders for constants.
    pub text: String,
    /// What it does.
    pub kind: StatementKind,
    /// Executions.
    pub calls: f64,
    /// Times it was planned, where that is counted.
    pub plans: f64,
    /// Their time, in milliseconds.
    pub exec_ms: f64,
    /// Rows returned or changed.
    pub rows: f64,
    /// Blocks of tables and indexes that were looked at.
    pub blocks: f64,
    /// Bytes of temporary files that were written.
    pub temp_bytes: f64,
}

impl Statement {
    /// Mean time of an execution, in milliseconds.
    #[must_use]
    pub fn exec_ms_mean(&self) -> f64 {
        self.exec_ms / self.calls.max(1.0)
    }

    /// Rows of an execution.
    #[must_use]
    pub fn rows_mean(&self) -> f64 {
        self.rows / self.calls.max(1.0)
    }

    /// Whether a word is in its text, in capitals or not; what stands in quotes counts, too.
    #[must_use]
    pub fn has_word(&self, word: &str) -> bool {
        let is_sign = |letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == '$');
        self.text.split(is_sign).any(|found| found.eq_ignore_ascii_case(word))
    }
}

/// What the database has counted since its statistics were reset.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Temporary files.
    pub temp_files: u64,
    /// Their bytes.
    pub temp_bytes: u64,
    /// Checkpoints that were due.
    pub checkpoints_timed: u64,
    /// Checkpoints that were asked for, above all because the WAL had grown to max_wal_size.
    pub checkpoints_requested: u64,
    /// Since when checkpoints are counted, in seconds before this look; `None` where that is not known.
    pub checkpoints_counted_s: Option<f64>,
    /// When the configuration files were last loaded, in seconds before this look.
    pub loaded_s: f64,
}

/// A table as autovacuum sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Schema and name as SQL writes them.
    pub qualified: String,
    /// Rows.
    pub live_rows: u64,
    /// Rows that take space until a vacuum.
    pub dead_rows: u64,
    /// Autovacuum cleans it from more dead rows than this on.
    pub vacuum_dead_rows: u64,
    /// Whether a vacuum is due.
    pub is_vacuum_due: bool,
    /// Whether autovacuum is switched off for it.
    pub is_off: bool,
}

/// Indexes that the workload lacks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexAdvice {
    /// What to create, the greatest saving first.
    pub suggestions: Vec<SuggestedIndex>,
    /// Statements that were weighed.
    pub statements: usize,
}

/// An index that the workload lacks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuggestedIndex {
    /// Its table, as SQL writes it.
    pub table: String,
    /// What it saves of the workload's cost, 0 to 1.
    pub saved_share: f64,
    /// How sure that is.
    pub confidence: String,
    /// What creates it.
    pub statements: Vec<String>,
}

/// What is wrong with the indexes that there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexReview {
    /// Indexes that were looked at.
    pub indexes: u64,
    /// What is worth acting on.
    pub problems: Vec<IndexProblem>,
}

/// What is wrong with an index, or with the want of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexProblem {
    /// What, as `invalid` or `foreign key without index`.
    pub problem: String,
    /// The index, or the table that lacks one, as SQL writes it.
    pub object: String,
    /// What mends it, where that is SQL.
    pub statement: Option<String>,
}

/// Materialized views.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Views {
    /// How many there are.
    pub materialized: u64,
    /// Those that would spare the database work, the greatest saving first.
    pub suggestions: Vec<SuggestedView>,
}

/// A materialized view that would spare the database work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuggestedView {
    /// A name for it.
    pub name: String,
    /// What it saves, in milliseconds an hour.
    pub saved_ms_per_hour: f64,
    /// What the statement takes now, in milliseconds.
    pub query_ms: f64,
    /// The statement's executions an hour.
    pub calls_per_hour: f64,
}

/// The pooler in front of the database.
#[derive(Clone, Debug, PartialEq)]
pub struct Pooling {
    /// What it says of itself.
    pub report: PoolerReport,
    /// Statements that clients had parsed; from PgBouncer 1.24 on.
    pub parses: Option<u64>,
    /// Executions of parsed statements; likewise.
    pub binds: Option<u64>,
    /// What one client ran again and again; `None` where the pooler does not watch for it.
    pub repeats: Option<Vec<PoolerRepeat>>,
}

/// What only the running monitor knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The server that it watches, as host and port.
    pub server: String,
    /// When it last looked at the database.
    pub health_at: Option<Timestamp>,
    /// The ids of its checks.
    pub checks: Vec<String>,
    /// Its alerts; `None` without any.
    pub alerting: Option<Alerting>,
    /// What is recorded of statements.
    pub statements: Option<Recorded>,
    /// When the use of indexes was last reviewed.
    pub indexes_reviewed_at: Option<Timestamp>,
    /// The result cache; `None` without one.
    pub caching: Option<Caching>,
}

/// Who is told of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerting {
    /// The ids of the checks that rules are about.
    pub checks: Vec<String>,
    /// The names of the channels.
    pub channels: Vec<String>,
}

/// A stretch of time that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its beginning.
    pub first_at: Timestamp,
    /// Its end.
    pub last_at: Timestamp,
}

/// What a result cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caching {
    /// Reads that it was asked for.
    pub requests: u64,
    /// Those that it answered.
    pub hits: u64,
}
