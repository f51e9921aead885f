//! What a pooler knows of statements and the database does not.

use jiff::Timestamp;
use serde::Serialize;

/// What a pooler has measured of each statement over a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PoolerStatements {
    /// Since when it has measured; None when that is not known.
    pub since: Option<Timestamp>,
    /// The statements.
    pub statements: Vec<PoolerStatement>,
    /// Statements that one client ran again and again, the most expensive first.
    pub repeats: Vec<PoolerRepeat>,
}

/// What a pooler has measured of one statement of one database and role.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PoolerStatement {
    /// The text as clients send it, with or without constants.
    pub text: String,
    /// The database.
    pub database: String,
    /// The role.
    pub role: String,
    /// What was measured.
    pub figures: PoolerFigures,
}

/// Times and errors of a statement as its clients met them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PoolerFigures {
    /// Executions.
    pub calls: u64,
    /// Half of the executions took no longer, in milliseconds, from the request at a server to its last answer.
    pub exec_ms_p50: f64,
    /// 95 of 100 executions took no longer.
    pub exec_ms_p95: f64,
    /// 99 of 100 executions took no longer.
    pub exec_ms_p99: f64,
    /// The longest execution.
    pub exec_ms_max: f64,
    /// Executions whose clients had to wait for a server before.
    pub waited: u64,
    /// The mean time that a request waited for a server before that, in milliseconds.
    pub wait_ms_mean: f64,
    /// 99 of 100 requests waited no longer.
    pub wait_ms_p99: f64,
    /// Executions that ended with an error.
    pub errors: u64,
    /// The applications that sent it, by application_name; bounded by the pooler.
    pub application_names: Vec<String>,
}

/// A statement that one client ran again and again in a short time or within one transaction (N+1): one statement for all
/// of them would have done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PoolerRepeat {
    /// The statement, without constants.
    pub text: String,
    /// The different statement that the client ran before, which set it off; None when that is not known.
    pub parent_text: Option<String>,
    /// The database.
    pub database: String,
    /// The role.
    pub role: String,
    /// How often that happened.
    pub bursts: u64,
    /// Executions of the longest one.
    pub longest: u64,
    /// Executions of all of them.
    pub executions: u64,
    /// Their time in milliseconds.
    pub exec_ms: f64,
}

/// Parameters of a slow execution that a pooler has captured.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolerCapture {
    /// The statement, without constants.
    pub text: String,
    /// The database.
    pub database: String,
    /// The values, None for NULL.
    pub parameters: Vec<Option<String>>,
}
