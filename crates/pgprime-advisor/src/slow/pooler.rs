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
    /// The mean time that a request waited for a server before that, in milliseconds.
    pub wait_ms_mean: f64,
    /// 99 of 100 requests waited no longer.
    pub wait_ms_p99: f64,
    /// Executions that ended with an error.
    pub errors: u64,
    /// The applications that sent it, by application_name; bounded by the pooler.
    pub application_names: Vec<String>,
}
