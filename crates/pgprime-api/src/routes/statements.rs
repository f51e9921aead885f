//! Which statements take the time.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::{Timestamp, Zoned};
use pgprime_advisor::Missing;
use pgprime_advisor::history::{Coverage, History, Retention, StatementKey};
use pgprime_advisor::slow::{
    self, Databases, Order, Period, PoolerFigures, PoolerStatements, ReportOptions, SlowError, SlowReport,
    Snapshot,
};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::extract::{Path, Query};
use crate::limits::{LOOK_MAX, within};
use crate::looks;
use crate::problem::Problem;
use crate::security::Reader;

const LIMIT_MAX: usize = 500;

/// Which statements, and in which order.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// A statement with at least this mean is slow, in milliseconds. Default 1000.
    #[param(minimum = 0)]
    threshold_ms: Option<f64>,
    /// Statements at most. Default 20.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Statements to leave out at the beginning. Default 0.
    offset: Option<usize>,
    /// total, mean, calls, max, stddev, rows, read, temp, wal or planning. Default total.
    order: Option<String>,
    /// Only what happened since: 15m, 24h, 7d, today, or a time. Default: all since the last reset.
    since: Option<String>,
}

/// The slowest statements
///
/// Texts are without constants, as pg_stat_statements keeps them.
#[utoipa::path(get, path = "/api/v1/monitoring/slow-queries", tag = "statements", params(Parameters),
    responses((status = 200, description = "as `pgprime slow-queries --json`", body = Object),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn slow_queries(
    State(app): State<Arc<App>>,
    _: Reader,
    Query(parameters): Query<Parameters>,
) -> Result<Json<SlowReport>, Problem> {
    let order = match parameters.order.as_deref() {
        None => Order::default(),
        Some(name) => Order::named(name).ok_or_else(|| unknown_order(name))?,
    };
    let threshold_ms = parameters.threshold_ms.unwrap_or(1_000.0);
    if !(threshold_ms.is_finite() && threshold_ms >= 0.0) {
        return Err(Problem::bad_request("threshold_ms is a number of milliseconds, 0 or more"));
    }
    let limit = parameters.limit.unwrap_or(20);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is 1 to {LIMIT_MAX}")));
    }
    let offset = parameters.offset.unwrap_or(0).min(1_000_000);
    let since = parse_since(parameters.since.as_deref())?;
    let snapshot = snapshot(&app).await?;
    let (period, note) = period(&app, &snapshot, since).await?;
    let pooler = pooler_statements(&app).await;
    let options = ReportOptions {
        order,
        threshold_ms,
        threshold_max_ms: None,
        limit: limit + offset,
        databases: Databases::Own,
        pooler: pooler.as_deref(),
    };
    let mut report = slow::report(&snapshot, &period, &options);
    report.statements.drain(..offset.min(report.statements.len()));
    report.notes.extend(note);
    Ok(Json(report))
}

/// A statement with its past.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Detail {
    /// As in the list.
    #[schema(value_type = Object)]
    statement: slow::SlowStatement,
    /// What each recorded interval had of it, oldest first.
    series: Vec<Point>,
    /// As clients of the built-in pooler met it; `null` without one, or where they did not send it.
    #[schema(value_type = Option<Object>)]
    pooler: Option<PoolerFigures>,
    /// What could not be seen.
    #[schema(value_type = Vec<Object>)]
    missing: Vec<Missing>,
}

/// What one interval had of a statement.
#[derive(Serialize, utoipa::ToSchema)]
struct Point {
    /// The end of the interval.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    calls: f64,
    exec_ms_total: f64,
    exec_ms_mean: Option<f64>,
    rows: f64,
}

/// One statement with its past
#[utoipa::path(get, path = "/api/v1/monitoring/slow-queries/{query_id}", tag = "statements",
    params(("query_id" = String, Path, description = "pg_stat_statements' number")),
    responses((status = 200, body = Detail), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn slow_query(
    State(app): State<Arc<App>>,
    _: Reader,
    Path(query_id): Path<String>,
) -> Result<Json<Detail>, Problem> {
    let query_id: i64 =
        query_id.parse().map_err(|_| Problem::bad_request("query_id is a whole number of 64 bits"))?;
    let snapshot = snapshot(&app).await?;
    let period = slow::since_reset(&snapshot);
    let pooler = pooler_statements(&app).await;
    let options = ReportOptions {
        order: Order::Total,
        threshold_ms: 1_000.0,
        threshold_max_ms: None,
        limit: usize::MAX,
        databases: Databases::Own,
        pooler: pooler.as_deref(),
    };
    let wanted = query_id.to_string();
    let report = slow::report(&snapshot, &period, &options);
    let statement = report.statements.into_iter().find(|statement| statement.query_id == wanted);
    let statement = statement.ok_or_else(|| {
        Problem::not_found(format!("pg_stat_statements has no statement {query_id} of this database"))
    })?;
    let keys = snapshot.identities.iter().map(|identity| identity.key);
    let key = keys.into_iter().find(|key| key.query_id == query_id);
    let series = match key {
        Some(key) => series(&app, &snapshot, key).await?,
        None => Vec::new(),
    };
    Ok(Json(Detail { pooler: statement.pooler.clone(), statement, series, missing: report.missing }))
}

fn unknown_order(name: &str) -> Problem {
    let known: Vec<&str> = Order::ALL.iter().map(|(known, _)| *known).collect();
    let name: String = name.chars().take(40).collect();
    Problem::bad_request(format!("there is no order {name:?}; there are {}", known.join(", ")))
}

fn parse_since(text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let since = text.map(|text| slow::since(text, &Zoned::now())).transpose();
    since.map_err(|error| Problem::bad_request(format!("since: {error}")))
}

/// The counters of all statements; one reading serves all who ask within seconds.
pub(crate) async fn snapshot(app: &App) -> Result<Arc<Snapshot>, Problem> {
    let look = async {
        let connection = app.connection().await?;
        let snapshot = Box::pin(slow::snapshot_except(connection.client_unwatched(), &HashSet::new())).await;
        snapshot.map(Arc::new).map_err(problem)
    };
    app.statements.get(within(2 * LOOK_MAX, look)).await
}

fn problem(error: SlowError) -> Problem {
    match &error {
        SlowError::NotMeasured { missing } => Problem::unprocessable(format!(
            "statements are not measured: {}",
            slow::missing_text(missing).trim()
        )),
        lost if lost.is_disconnect() => Problem::unavailable(format!("cannot reach the database: {error}")),
        transient if transient.is_transient() => Problem::unavailable(error.to_string()),
        _ => Problem::unprocessable(error.to_string()),
    }
}

/// What is recorded since then, and what has to be said of it.
async fn period(
    app: &App,
    snapshot: &Arc<Snapshot>,
    since: Option<Timestamp>,
) -> Result<(Period, Option<String>), Problem> {
    let Some(since) = since else { return Ok((slow::since_reset(snapshot), None)) };
    let Some(path) = app.services.statement_history.clone() else {
        return Ok((
            slow::since_reset(snapshot),
            Some("No history is kept: all since the last reset.".to_owned()),
        ));
    };
    let (label, kept) = (app.services.label.clone(), Arc::clone(snapshot));
    let recorded = blocking(move || {
        let history = History::open(&path, Retention::default())?;
        slow::recorded(&history, &kept.source(&label), since, kept.reading.taken_at)
    });
    Ok(match recorded.await? {
        Some(period) => {
            let is_shorter = period.totals.coverage.start > since;
            let note = is_shorter.then(|| "The history begins later than what was asked for.".to_owned());
            (period, note)
        }
        None => {
            let note = "Nothing is recorded for this time yet: these are all counts since the last reset.";
            (slow::since_reset(snapshot), Some(note.to_owned()))
        }
    })
}

async fn series(app: &App, snapshot: &Arc<Snapshot>, key: StatementKey) -> Result<Vec<Point>, Problem> {
    let Some(path) = app.services.statement_history.clone() else { return Ok(Vec::new()) };
    let (label, kept) = (app.services.label.clone(), Arc::clone(snapshot));
    let intervals = blocking(move || {
        let history = History::open(&path, Retention::default())?;
        let source = kept.source(&label);
        let Some(Coverage { start, end, .. }) = history.coverage(&source)? else { return Ok(Vec::new()) };
        history.statement_series(&source, key, start, end)
    });
    let points = intervals.await?.into_iter().map(|interval| Point {
        at: interval.end,
        calls: interval.counters.calls,
        exec_ms_total: interval.counters.exec_ms,
        exec_ms_mean: interval.counters.exec_ms_mean(),
        rows: interval.counters.rows,
    });
    Ok(points.collect())
}

/// What the built-in pooler adds.
pub(crate) async fn pooler_statements(app: &App) -> Option<Arc<PoolerStatements>> {
    let pooler = app.services.pooler.as_ref()?;
    let look = async { Ok(Arc::new(looks::pooler_statements(pooler).await)) };
    app.pooler_statements.get(look).await.ok()
}

/// Work on the file of the history, away from the event loop.
pub(crate) async fn blocking<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => {
            outcome.map_err(|error| Problem::unavailable(format!("the history cannot be read: {error}")))
        }
        Err(_) => Err(Problem::unavailable("the history cannot be read: its reader has ended")),
    }
}
