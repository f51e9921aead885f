//! Metrics for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use pgprime_monitor::export::{Exposed, Watching, prometheus_text};
use pgprime_monitor::pooler::{PoolerKind, PoolerReport, of_handle};

use crate::app::App;
use crate::looks::moment;
use crate::problem::Problem;
use crate::routes::cache;
use crate::security::{Reader, Role};

/// Metrics in Prometheus' text format
#[utoipa::path(get, path = "/metrics", tag = "metrics",
    responses((status = 200, description = "text format 0.0.4", body = String, content_type = "text/plain"),
        (status = 401, body = Problem)))]
pub(crate) async fn metrics(State(app): State<Arc<App>>, _: Reader) -> impl IntoResponse {
    let round = app.round();
    let own = match &app.services.pooler {
        Some(handle) => Some(of_handle(handle).await),
        None => None,
    };
    let seen =
        round.iter().flat_map(|round| round.poolers.iter()).filter_map(|pooler| pooler.seen.as_ref().ok());
    let others = seen.filter(|report| own.is_none() || report.kind == PoolerKind::Pgbouncer);
    let poolers: Vec<&PoolerReport> = own.iter().chain(others).collect();
    let alerts = app.services.alerts.as_ref().map(|alerts| alerts.view());
    let cache = cache::opened(&app);
    let health = app.health(Role::Read);
    let watching = app.services.rounds.is_some().then(|| Watching {
        last_round_at: round.as_ref().and_then(|round| moment(round.ended_at)),
        stale_after: app.services.stale_after,
    });
    let text = prometheus_text(&Exposed {
        health: health.as_ref().map(|health| &*health.report),
        watching,
        poolers: &poolers,
        cache: cache.as_ref().map(|report| &report.store),
        alerts: alerts.as_ref(),
    });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
