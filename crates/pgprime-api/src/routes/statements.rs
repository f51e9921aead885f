//! Which statements take the time.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::{Timestamp, Zoned};
use pgprime_advisor::Missing;
use pgprime_advisor::history::{Coverage, Events, History, Retention, StatementKey, Totals};
use pgprime_advisor::slow::{
    self, Basis, Databases, IfNone, Order, Period, PoolerFigures, PoolerStatements, ReportOptions,
    SinceError, SlowError, SlowReport, SlowStatement, Snapshot,
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
    /// A statement with at least this mean is slow, in milliseconds. Default 1000. Only slow ones are told of; if none is,
    /// the first of all in the same order, and `slow_count` is 0. With 0 all are told of.
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
    /// Only what happened until then, written as `since`, which it needs. Default: now.
    until: Option<String>,
}

/// Of which time.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Times {
    /// Only what happened since: 15m, 24h, 7d, today, or a time. Default: all since the last reset.
    since: Option<String>,
    /// Only what happened until then, written as `since`, which it needs. Default: now.
    until: Option<String>,
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
    let span = Span::parse(parameters.since.as_deref(), parameters.until.as_deref())?;
    let snapshot = snapshot(&app).await?;
    let (period, note) = period(&app, &snapshot, span).await?;
    let pooler = pooler_statements(&app).await;
    let options = ReportOptions {
        order,
        threshold_ms,
        threshold_max_ms: None,
        limit: limit + offset,
        databases: Databases::Own,
        if_none: IfNone::InOrder,
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
    statement: SlowStatement,
    /// Where its figures come from, as in the list.
    #[schema(value_type = String)]
    basis: Basis,
    /// The beginning of the time that they are of.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
    /// What each recorded interval of the time that was asked for had of it, oldest first.
    series: Vec<Point>,
    /// As clients of the built-in pooler met it; `null` without one, or where they did not send it.
    #[schema(value_type = Option<Object>)]
    pooler: Option<PoolerFigures>,
    /// What limits the figures, in sentences.
    notes: Vec<String>,
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
    params(("query_id" = String, Path, description = "pg_stat_statements' number"), Times),
    responses((status = 200, body = Detail), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn slow_query(
    State(app): State<Arc<App>>,
    _: Reader,
    Path(query_id): Path<String>,
    Query(times): Query<Times>,
) -> Result<Json<Detail>, Problem> {
    let query_id: i64 =
        query_id.parse().map_err(|_| Problem::bad_request("query_id is a whole number of 64 bits"))?;
    let span = Span::parse(times.since.as_deref(), times.until.as_deref())?;
    let snapshot = snapshot(&app).await?;
    let pooler = pooler_statements(&app).await;
    let (mut period, mut note) = period(&app, &snapshot, span).await?;
    let mut found = one(&snapshot, &period, pooler.as_deref(), query_id);
    if found.is_none() && period.basis == Basis::History {
        // It rested then, and is known nevertheless.
        period = slow::since_reset(&snapshot);
        found = one(&snapshot, &period, pooler.as_deref(), query_id);
        note = Some(
            "No call of it was recorded in this time: the figures are all since the last reset.".to_owned(),
        );
    }
    let (report, statement) = found.ok_or_else(|| {
        Problem::not_found(format!("pg_stat_statements has no statement {query_id} of this database"))
    })?;
    let series = match key(&snapshot, &period, &statement, query_id) {
        Some(key) if span.since.is_none() => series(&app, &snapshot, key, None).await?,
        Some(key) if period.basis == Basis::History => {
            series(&app, &snapshot, key, Some(period.totals.coverage.clone())).await?
        }
        _ => Vec::new(),
    };
    Ok(Json(Detail {
        pooler: statement.pooler.clone(),
        statement,
        basis: report.basis,
        start: report.start,
        end: report.end,
        series,
        notes: report.notes.into_iter().chain(note).collect(),
        missing: report.missing,
    }))
}

/// The statement as a report has it, which is taken from the report; of several roles', what took the most time.
fn one(
    snapshot: &Snapshot,
    period: &Period,
    pooler: Option<&PoolerStatements>,
    query_id: i64,
) -> Option<(SlowReport, SlowStatement)> {
    let options = ReportOptions { threshold_ms: 0.0, limit: usize::MAX, pooler, ..ReportOptions::default() };
    let mut report = slow::report(snapshot, period, &options);
    let wanted = query_id.to_string();
    let at = report.statements.iter().position(|statement| statement.query_id == wanted)?;
    let statement = report.statements.swap_remove(at);
    Some((report, statement))
}

/// The key of just this statement: other roles and databases may have one of the same number.
fn key(
    snapshot: &Snapshot,
    period: &Period,
    statement: &SlowStatement,
    query_id: i64,
) -> Option<StatementKey> {
    let of_period = period.totals.statements.iter().map(|totals| &totals.identity);
    let mut known =
        of_period.chain(&snapshot.identities).filter(|identity| identity.key.query_id == query_id);
    let is_same = known.find(|identity| {
        identity.key.toplevel == statement.toplevel
            && identity.key.database_oid == snapshot.server.database_oid
            && identity.role == statement.role
    });
    is_same.map(|identity| identity.key)
}

fn unknown_order(name: &str) -> Problem {
    let known: Vec<&str> = Order::ALL.iter().map(|(known, _)| *known).collect();
    let name: String = name.chars().take(40).collect();
    Problem::bad_request(format!("there is no order {name:?}; there are {}", known.join(", ")))
}

/// The time that is asked of; all since the last reset without a beginning, up to now without an end.
#[derive(Clone, Copy)]
struct Span {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Span {
    fn parse(since: Option<&str>, until: Option<&str>) -> Result<Self, Problem> {
        let now = Zoned::now();
        let since = since.map(|text| slow::since(text, &now)).transpose();
        let since = since.map_err(|error| Problem::bad_request(format!("since: {error}")))?;
        let until = match until.map(|text| slow::since(text, &now)).transpose() {
            // What is to come has not been counted.
            Err(SinceError::Future(_)) => None,
            read => read.map_err(|error| Problem::bad_request(format!("until: {error}")))?,
        };
        match (since, until) {
            (None, Some(_)) => Err(Problem::bad_request("until needs since: from when until then?")),
            (Some(since), Some(until)) if until <= since => {
                Err(Problem::bad_request("until is not later than since: that is no time at all"))
            }
            _ => Ok(Self { since, until }),
        }
    }
}

/// The counters of all statements; one reading serves all who ask within seconds.
pub(crate) async fn snapshot(app: &App) -> Result<Arc<Snapshot>, Problem> {
    let look = async {
        let connection = app.connection().await?;
        let snapshot = Box::pin(slow::snapshot_except(connection.client_local(), &HashSet::new())).await;
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
        lost if lost.is_connection_lost() => {
            Problem::unavailable(format!("cannot reach the database: {error}"))
        }
        transient if transient.is_transient() => Problem::unavailable(error.to_string()),
        _ => Problem::unprocessable(error.to_string()),
    }
}

/// What is recorded of this time, and what has to be said of it.
async fn period(
    app: &App,
    snapshot: &Arc<Snapshot>,
    span: Span,
) -> Result<(Period, Option<String>), Problem> {
    let Some(since) = span.since else { return Ok((slow::since_reset(snapshot), None)) };
    let Some(path) = app.services.statement_history.clone() else {
        return Ok((
            slow::since_reset(snapshot),
            Some("No history is kept: all since the last reset.".to_owned()),
        ));
    };
    let until = span.until.unwrap_or(snapshot.reading.taken_at).min(snapshot.reading.taken_at);
    let (label, kept) = (app.services.label.clone(), Arc::clone(snapshot));
    let recorded = blocking(move || {
        let history = History::open(&path, Retention::default())?;
        slow::recorded(&history, &kept.source(&label), since, until)
    });
    Ok(match (recorded.await?, span.until) {
        (Some(period), _) => {
            let note = beyond(&period.totals.coverage, since, span.until);
            (period, note)
        }
        // What happened in other times would be taken for this one.
        (None, Some(_)) => (nothing(since, until), Some("Nothing is recorded of this time.".to_owned())),
        (None, None) => {
            let note = "Nothing is recorded for this time yet: these are all counts since the last reset.";
            (slow::since_reset(snapshot), Some(note.to_owned()))
        }
    })
}

/// How what is recorded differs from the time that was asked for.
fn beyond(coverage: &Coverage, since: Timestamp, until: Option<Timestamp>) -> Option<String> {
    let note = match until {
        Some(until) if coverage.start < since && coverage.end > until => {
            "One recorded interval is longer than the time that was asked for: it is told of as a whole."
        }
        _ if coverage.start > since => "The history begins later than what was asked for.",
        _ => return None,
    };
    Some(note.to_owned())
}

fn nothing(start: Timestamp, end: Timestamp) -> Period {
    let coverage = Coverage { start, end, recordings: 0, events: Events::default() };
    Period { basis: Basis::History, totals: Totals { coverage, statements: Vec::new() }, previous: None }
}

/// The intervals within this time; all that are recorded without one.
async fn series(
    app: &App,
    snapshot: &Arc<Snapshot>,
    key: StatementKey,
    within: Option<Coverage>,
) -> Result<Vec<Point>, Problem> {
    let Some(path) = app.services.statement_history.clone() else { return Ok(Vec::new()) };
    let (label, kept) = (app.services.label.clone(), Arc::clone(snapshot));
    let intervals = blocking(move || {
        let history = History::open(&path, Retention::default())?;
        let source = kept.source(&label);
        let Some(all) = history.coverage(&source)? else { return Ok(Vec::new()) };
        let Coverage { start, end, .. } = within.unwrap_or(all);
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
