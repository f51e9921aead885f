//! The tuning checklist.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use pgprime_advisor::history::{Coverage, History, Retention};
use pgprime_monitor::checklist::{
    Alerting, Caching, ChecklistReport, Evidence, GatherError, GatherOptions, Recorded, Running, check,
    gather,
};
use pgprime_monitor::health::Connect as _;
use pgprime_monitor::pooler::{PoolerKind, PoolerReport, of_handle};

use crate::app::App;
use crate::limits::{REPORT_MAX, within};
use crate::problem::Problem;
use crate::routes::{cache, statements};
use crate::security::Reader;

/// The tuning checklist: what is met, by which evidence, and what to do about the rest
#[utoipa::path(get, path = "/api/v1/monitoring/checklist", tag = "checklist",
    responses((status = 200, description = "as `pgprime checklist --json`", body = Object), (status = 401, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn checklist(
    State(app): State<Arc<App>>,
    _: Reader,
) -> Result<Json<Arc<ChecklistReport>>, Problem> {
    app.checklist.get(within(REPORT_MAX, look(&app))).await.map(Json)
}

async fn look(app: &App) -> Result<Arc<ChecklistReport>, Problem> {
    let fresh = match &app.services.direct {
        Some(direct) => direct.connect().await.ok(),
        None => None,
    };
    let options = GatherOptions {
        fresh: fresh.as_ref().map(|connected| connected.connection.client()),
        machine: app.services.machine,
        place: app.services.place,
        pooler: pooler(app).await,
        running: running(app).await,
        ..GatherOptions::default()
    };
    let connection = app.connection().await?;
    // On the heap: it is made of many steps, each with its state.
    let evidence = Box::pin(gather(connection.client_local(), &options)).await;
    let mut evidence = evidence.map_err(|error| problem(&error))?;
    add_repeats(app, &mut evidence).await;
    Ok(Arc::new(check(&evidence)))
}

/// The pooler in front: the built-in one, else PgBouncer as the last round saw it.
async fn pooler(app: &App) -> Option<PoolerReport> {
    if let Some(handle) = &app.services.pooler {
        return Some(of_handle(handle).await);
    }
    let round = app.round()?;
    let seen = round.poolers.iter().filter_map(|pooler| pooler.seen.as_ref().ok());
    seen.into_iter().find(|report| report.kind == PoolerKind::Pgbouncer).cloned()
}

async fn add_repeats(app: &App, evidence: &mut Evidence) {
    if let Some(Ok(pooling)) = &mut evidence.pooling
        && let Some(known) = statements::pooler_statements(app).await
    {
        pooling.repeats = Some(known.repeats.clone());
    }
}

/// What the running monitor knows; without one, nothing runs.
async fn running(app: &App) -> Option<Running> {
    app.services.rounds.as_ref()?;
    let round = app.round();
    let checks = round.iter().flat_map(|round| &round.report.checks).map(|check| check.id.clone());
    let reviewed = app.indexes.age().await.and_then(|age| SignedDuration::try_from(age).ok());
    let caching = cache::opened(app).map(|report| {
        let total = report.store.total;
        Caching { requests: total.hits() + total.misses, hits: total.hits() }
    });
    Some(Running {
        server: app.services.label.clone(),
        health_at: round.as_ref().map(|round| round.report.taken_at),
        checks: checks.collect(),
        alerting: alerting(app),
        statements: recorded(app).await,
        indexes_reviewed_at: reviewed.and_then(|age| Timestamp::now().checked_sub(age).ok()),
        caching,
    })
}

fn alerting(app: &App) -> Option<Alerting> {
    let view = app.services.alerts.as_ref()?.view();
    Some(Alerting {
        checks: view.rules.into_iter().map(|rule| rule.check).collect(),
        channels: view.channels.into_iter().map(|channel| channel.name).collect(),
    })
}

/// What is recorded of statements; nothing where that cannot be read.
async fn recorded(app: &App) -> Option<Recorded> {
    let path = app.services.statement_history.clone()?;
    let snapshot = statements::snapshot(app).await.ok()?;
    let source = snapshot.source(&app.services.label);
    let coverage =
        statements::blocking(move || History::open(&path, Retention::default())?.coverage(&source));
    let Coverage { start, end, .. } = coverage.await.ok()??;
    Some(Recorded { first_at: start, last_at: end })
}

fn problem(error: &GatherError) -> Problem {
    match error.is_connection_lost() {
        true => Problem::unavailable(format!("cannot reach the database: {error}")),
        false => Problem::unprocessable(error.to_string()),
    }
}
