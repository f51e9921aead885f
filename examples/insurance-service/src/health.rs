//! What those ask who run the service: does it live, can it serve, what do its pools do.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use pgprime_client::{Database, DatabaseReport, Error};

use crate::error::Problem;
use crate::web::Json;

/// Longer than an answer takes, shorter than the patience of those who ask.
const READY_WAIT: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> Router<Database> {
    Router::new()
        // A database that is down is no reason to restart the service, so this does not ask it.
        .route("/healthz", get(|| async { StatusCode::NO_CONTENT }))
        .route("/readyz", get(ready))
        .route("/pool", get(pool))
}

/// Whether requests should be sent here: the main database answers.
async fn ready(State(database): State<Database>) -> Result<StatusCode, Problem> {
    match database.main().with_wait(READY_WAIT).idempotent().query_one("SELECT 1", &[]).await {
        // Overload is answered request by request. Taking this instance away would push it onto the others.
        Ok(_) | Err(Error::Exhausted(_)) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(error.into()),
    }
}

async fn pool(State(database): State<Database>) -> Json<DatabaseReport> {
    Json(database.report())
}
