//! Health: of the database, and of this process for those who start and stop it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pgprime_monitor::health::{HealthReport, Status};
use serde::Serialize;

use crate::app::App;
use crate::problem::Problem;
use crate::security::Reader;
use crate::values;

/// All checks as of the last round
#[utoipa::path(get, path = "/api/v1/monitoring/health", tag = "health",
    responses((status = 200, description = "as `pgprime health --json`", body = Object), (status = 401, body = Problem),
        (status = 503, body = Problem, description = "nothing was looked at yet")))]
pub(crate) async fn health(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
) -> Result<Json<Arc<HealthReport>>, Problem> {
    let round = app
        .round()
        .ok_or_else(|| Problem::unavailable("nothing was looked at yet; ask again in a moment"))?;
    Ok(Json(values::health(&round.report, caller.role)))
}

/// One word.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Word {
    status: &'static str,
}

/// Whether this process runs: for those who restart it when it does not
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Word)))]
pub(crate) async fn healthz() -> Json<Word> {
    Json(Word { status: "running" })
}

/// Whether clients are served: for those who send them here
///
/// The pooler accepts clients while the database is away for a moment, so only an end that has begun makes it not ready.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Word), (status = 503, body = Word)))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Word>) {
    let pooler_ends = app.services.pooler.as_ref().is_some_and(pgprime_pooler::Handle::is_ending);
    if *app.ending.borrow() || pooler_ends {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(Word { status: "ending" }));
    }
    let is_critical = app.round().is_some_and(|round| round.report.status == Status::Critical);
    (
        StatusCode::OK,
        Json(Word { status: if is_critical { "ready, and something is critical" } else { "ready" } }),
    )
}
