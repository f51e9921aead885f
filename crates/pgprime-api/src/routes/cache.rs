//! The cache of results.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pgprime_client::ResultCacheReport;

use crate::app::App;
use crate::limits::{LOOK_MAX, within};
use crate::looks::CacheState;
use crate::problem::Problem;
use crate::security::Reader;

/// What the cache of results does for each query
#[utoipa::path(get, path = "/api/v1/monitoring/cache", tag = "views and cache",
    responses((status = 200, body = CacheState), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn cache(State(app): State<Arc<App>>, _: Reader) -> Result<Json<CacheState>, Problem> {
    let report = match &app.services.cached {
        Some(cached) => within(LOOK_MAX, cached.or_problem()).await?.report().cache,
        None => None,
    };
    Ok(Json(CacheState::of(report)))
}

/// What it did so far, where it has been opened.
pub(super) fn opened(app: &App) -> Option<ResultCacheReport> {
    app.services.cached.as_ref()?.connected()?.report().cache
}
