//! Health: of the database, and of this process for those who start and stop it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pgprime_monitor::health::Status;
use serde::Serialize;

use crate::app::App;
use crate::freshness::Health;
use crate::problem::Problem;
use crate::security::{Reader, Role};

/// All checks as of the last round
#[utoipa::path(get, path = "/api/v1/monitoring/health", tag = "health",
    responses((status = 200, description = "as `pgprime health --json`; `stale` says why the status is unknown where nobody has looked for a while", body = Object), (status = 401, body = Problem),
        (status = 503, body = Problem, description = "nothing was looked at yet")))]
pub(crate) async fn health(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
) -> Result<Json<Health>, Problem> {
    let health = app.health(caller.role);
    health.map(Json).ok_or_else(|| Problem::unavailable("nothing was looked at yet; ask again in a moment"))
}

/// One word.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Word {
    status: &'static str,
    /// Why health is unknown, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn word(status: &'static str) -> Json<Word> {
    Json(Word { status, reason: None })
}

/// Whether this process runs: for those who restart it when it does not
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Word)))]
pub(crate) async fn healthz() -> Json<Word> {
    word("running")
}

/// Whether clients are served: for those who send them here
///
/// The pooler accepts clients while the database is away for a moment, or nobody watches it, so only an end that has begun
/// makes it not ready.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Word), (status = 503, body = Word)))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Word>) {
    let pooler_ends = app.services.pooler.as_ref().is_some_and(pgprime_pooler::Handle::is_ending);
    if *app.ending.borrow() || pooler_ends {
        return (StatusCode::SERVICE_UNAVAILABLE, word("ending"));
    }
    let health = app.health(Role::Read);
    let answer = match health.as_ref().map(|health| (&health.stale, health.report.status)) {
        Some((Some(stale), _)) => {
            Json(Word { status: "ready, and health is unknown", reason: Some(stale.reason().to_owned()) })
        }
        Some((None, Status::Critical)) => word("ready, and something is critical"),
        Some(_) | None => word("ready"),
    };
    (StatusCode::OK, answer)
}
