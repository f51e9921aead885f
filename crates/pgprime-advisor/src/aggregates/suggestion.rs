//! What is suggested.

use serde::Serialize;

use crate::Missing;

/// Materialized views that would spare the database work.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ViewSuggestions {
    /// The views, the greatest saving first.
    pub suggestions: Vec<ViewSuggestion>,
    /// Aggregations that take time and make no view, and why.
    pub unsuitable: Vec<Unsuitable>,
    /// What could not be seen.
    pub missing: Vec<Missing>,
}

/// A materialized view that would spare the database work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewSuggestion {
    /// A name for it, without a schema and quotes.
    pub name: String,
    /// Its query.
    pub definition: String,
    /// Columns that tell its rows apart, by which it can be refreshed while it is read; empty where there are none.
    pub unique_key: Vec<String>,
    /// The statement that reads from it what the application asks for now.
    pub reader: String,
    /// What is to be known about it.
    pub notes: Vec<String>,
    /// The statement's id in the workload.
    pub query_id: String,
    /// Its text.
    pub query: String,
    /// Its executions an hour.
    pub calls_per_hour: f64,
    /// What one of them takes, measured, in milliseconds.
    pub query_ms: f64,
    /// What reading the view will take, by the planner's costs, in milliseconds.
    pub reader_ms: f64,
    /// What a refresh will take, by the planner's costs, in milliseconds.
    pub refresh_ms: f64,
    /// Seconds between two refreshes, for which the saving is computed.
    pub refresh_interval_seconds: f64,
    /// What the database is spared, in milliseconds an hour, refreshes counted.
    pub saved_ms_per_hour: f64,
    /// Rows that the view will have, as the planner sees it.
    pub rows: f64,
    /// Bytes that it will take.
    pub size_bytes: u64,
}

/// An aggregation that makes no view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unsuitable {
    /// The statement's id in the workload.
    pub query_id: String,
    /// Its text.
    pub query: String,
    /// Why, and what would change that.
    pub reason: String,
}
