//! What views are worth.

use std::time::Duration;

use tokio_postgres::Client;

use super::definition::{Definition, definition};
use super::suggestion::{Unsuitable, ViewSuggestion, ViewSuggestions};
use crate::explain::{self, ExplainError, ExplainRequest, Limits};
use crate::indexes::{Workload, WorkloadQuery};
use crate::plan::{Estimate, Plan};
use crate::sql::{Statement, TableName};

/// PostgreSQL's defaults: of a page in order, of a page anywhere, of a row.
const PAGE_COST: f64 = 1.0;
const RANDOM_PAGE_COST: f64 = 4.0;
const ROW_COST: f64 = 0.01;
const BLOCK_BYTES: f64 = 8_192.0;
/// Header and line pointer of a row.
const ROW_OVERHEAD_BYTES: f64 = 28.0;
/// Levels of an index that are read for one key.
const INDEX_PAGES: f64 = 2.0;
const NAME_BYTES_MAX: usize = 50;

/// Which aggregations are worth a look.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewOptions {
    /// Mean time of a statement, in milliseconds. Default 20: below, a view saves nobody's time.
    pub mean_ms_min: f64,
    /// Executions in the workload's time. Default 3: what is asked for once need not be kept.
    pub calls_min: f64,
    /// Seconds between two refreshes. Default 900.
    pub refresh_interval: Duration,
    /// What a view has to spare the database, as a share of the time that its statement takes. Default 0.5.
    pub saved_share_min: f64,
    /// Statements that are looked at, those with the most total time first. Default 50.
    pub queries_max: usize,
    /// Limit of each statement that is sent. Default 5 s.
    pub statement_timeout: Duration,
    /// Limit for each lock. Default 500 ms.
    pub lock_timeout: Duration,
}

impl Default for ViewOptions {
    fn default() -> Self {
        Self {
            mean_ms_min: 20.0,
            calls_min: 3.0,
            refresh_interval: Duration::from_secs(900),
            saved_share_min: 0.5,
            queries_max: 50,
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_millis(500),
        }
    }
}

/// Materialized views for the aggregations of a workload whose times were measured. Statements are planned, never executed.
///
/// # Errors
/// [`ExplainError`] when the connection is lost. What cannot be planned is told of as unsuitable.
pub async fn suggest(
    client: &Client,
    workload: &Workload,
    options: &ViewOptions,
) -> Result<ViewSuggestions, ExplainError> {
    let mut found = ViewSuggestions::default();
    let is_worth_a_look = |query: &&WorkloadQuery| {
        query.weight >= options.calls_min && query.mean_ms.is_some_and(|mean| mean >= options.mean_ms_min)
    };
    let total = |query: &WorkloadQuery| query.weight * query.mean_ms.unwrap_or(0.0);
    let mut queries: Vec<&WorkloadQuery> = workload.queries.iter().filter(is_worth_a_look).collect();
    queries.sort_by(|a, b| total(b).total_cmp(&total(a)));
    let hours = workload.seconds.unwrap_or(3_600.0).max(1.0) / 3_600.0;
    for query in queries.into_iter().take(options.queries_max) {
        let Ok(statement) = Statement::parse(&query.text) else { continue };
        let Some(view) = definition(&statement) else { continue };
        let outcome = match view {
            Ok(view) => weigh(client, query, &statement, view, hours, options).await,
            Err(reason) => Err(Refused::Unsuitable(reason)),
        };
        match outcome {
            Ok(suggestion) => add(&mut found.suggestions, suggestion),
            Err(Refused::Unsuitable(reason)) => found.unsuitable.push(Unsuitable {
                query_id: query.id.clone(),
                query: query.text.clone(),
                reason,
            }),
            Err(Refused::Connection(error)) => return Err(error),
        }
    }
    found.suggestions.sort_by(|a, b| b.saved_ms_per_hour.total_cmp(&a.saved_ms_per_hour));
    Ok(found)
}

/// One view may serve several statements; names are told apart.
fn add(suggestions: &mut Vec<ViewSuggestion>, mut suggestion: ViewSuggestion) {
    let stem = suggestion.name.clone();
    let mut number = 1;
    while suggestions.iter().any(|other| other.name == suggestion.name) {
        number += 1;
        suggestion.name = format!("{stem}_{number}");
    }
    suggestion.reader =
        suggestion.reader.replacen(&format!(" FROM {stem}"), &format!(" FROM {}", suggestion.name), 1);
    suggestions.push(suggestion);
}

enum Refused {
    Unsuitable(String),
    Connection(ExplainError),
}

async fn weigh(
    client: &Client,
    query: &WorkloadQuery,
    statement: &Statement,
    view: Definition,
    hours: f64,
    options: &ViewOptions,
) -> Result<ViewSuggestion, Refused> {
    let whole = Statement::parse(&view.sql).map_err(|error| Refused::Unsuitable(error.to_string()))?;
    let asked = estimate(client, statement, options).await?;
    let mut filled = estimate(client, &whole, options).await?;
    if let Some(rows) = query.rows.filter(|_| view.has_all_rows) {
        // Counted, which is better than any guess.
        filled.rows = rows.max(1.0);
    }
    let query_ms = query.mean_ms.unwrap_or(0.0);
    let ms_per_cost = query_ms / asked.total_cost.max(1.0);
    let size = filled.rows * (filled.width_bytes as f64 + ROW_OVERHEAD_BYTES);
    let pages = (size / BLOCK_BYTES).ceil();
    let reader_cost = match view.is_keyed {
        true => {
            let rows = asked.rows.min(filled.rows);
            (INDEX_PAGES + rows.min(pages)) * RANDOM_PAGE_COST + rows * ROW_COST
        }
        false => pages * PAGE_COST + filled.rows * ROW_COST,
    };
    let calls_per_hour = query.weight / hours;
    let interval = options.refresh_interval.as_secs_f64();
    let (reader_ms, refresh_ms) = (reader_cost * ms_per_cost, filled.total_cost * ms_per_cost);
    let spent = calls_per_hour * query_ms;
    let saved = spent - calls_per_hour * reader_ms - 3_600.0 / interval * refresh_ms;
    if saved < spent * options.saved_share_min {
        return Err(Refused::Unsuitable(format!(
            "a view of {:.0} rows, refreshed every {interval:.0} s, would save {:.0} % of its time at most",
            filled.rows,
            (saved / spent.max(f64::MIN_POSITIVE) * 100.0).max(0.0)
        )));
    }
    let name = name(statement, &view);
    Ok(ViewSuggestion {
        reader: format!("SELECT {} FROM {name}{}", view.reader_columns, view.reader_tail),
        name,
        definition: view.sql,
        unique_key: view.unique_key,
        notes: view.notes,
        query_id: query.id.clone(),
        query: query.text.clone(),
        calls_per_hour,
        query_ms,
        reader_ms,
        refresh_ms,
        refresh_interval_seconds: interval,
        saved_ms_per_hour: saved,
        rows: filled.rows,
        size_bytes: size as u64,
    })
}

async fn estimate(
    client: &Client,
    statement: &Statement,
    options: &ViewOptions,
) -> Result<Estimate, Refused> {
    let limits = Limits { statement_timeout: options.statement_timeout, lock_timeout: options.lock_timeout };
    let request = ExplainRequest { limits, ..ExplainRequest::new(statement.clone()) };
    let explained =
        explain::explain(client, &request).await.map_err(|error| match error.is_connection() {
            true => Refused::Connection(error),
            false => Refused::Unsuitable(error.to_string()),
        })?;
    let plan = Plan::parse(&explained.document).map_err(|error| Refused::Unsuitable(error.to_string()))?;
    plan.root.estimate.ok_or_else(|| Refused::Unsuitable("the planner says no costs".to_owned()))
}

/// `quotes_by_status_day`: its first table, and what it is grouped by.
fn name(statement: &Statement, view: &Definition) -> String {
    let table = statement.tables().next().map_or("view", |table: &TableName| table.name.as_str());
    let words: Vec<&str> = view.unique_key.iter().map(String::as_str).collect();
    let plain = |text: &str| -> String {
        let letters = text
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
        letters.take(NAME_BYTES_MAX).collect()
    };
    let name = match (view.is_grouped, words.is_empty()) {
        (false, _) => format!("{table}_totals"),
        (true, true) => format!("{table}_groups"),
        (true, false) => format!("{table}_by_{}", words.join("_")),
    };
    let name = plain(&name);
    // A name must not begin with a digit to go without quotes.
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("v_{name}") } else { name }
}
