//! Who asks, and what there is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use pgprime_monitor::pooler::PoolerKind;
use serde::Serialize;

use crate::app::App;
use crate::problem::Problem;
use crate::security::{Reader, Role};

/// The caller, and what this instance has.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Session {
    /// What the caller may do.
    role: Role,
    /// The token's name, or `loopback`.
    name: String,
    /// Whether the caller is on this machine.
    is_loopback: bool,
    /// The name of the database.
    database: Option<String>,
    /// pgprime's version.
    version: &'static str,
    /// Since when this instance runs.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    features: Features,
}

/// What there is besides the database.
#[derive(Serialize, utoipa::ToSchema)]
struct Features {
    /// Whether there is a pooler of pgprime: in this process, or watched over its console.
    pooler: bool,
    /// Whether a PgBouncer is watched over its console.
    pgbouncer: bool,
    /// Whether materialized views are looked after.
    views: bool,
    /// Whether results are cached.
    cache: bool,
    /// Whether there are rules for alerts.
    alerts: bool,
    /// Whether series of figures are kept.
    history: bool,
    /// Whether statements may be executed by `analyze-query`.
    execute: bool,
}

/// Who asks, and what there is
#[utoipa::path(get, path = "/api/v1/session", tag = "session",
    responses((status = 200, body = Session), (status = 401, body = Problem)))]
pub(crate) async fn session(State(app): State<Arc<App>>, Reader(caller): Reader) -> Json<Session> {
    let services = &app.services;
    Json(Session {
        role: caller.role,
        name: caller.name,
        is_loopback: caller.is_loopback,
        version: env!("CARGO_PKG_VERSION"),
        started_at: app.started_at,
        database: services.database.name(),
        features: Features {
            pooler: services.pooler.is_some() || app.console_kind() == Some(PoolerKind::Pgprime),
            pgbouncer: app.console_kind() == Some(PoolerKind::Pgbouncer),
            views: services.declarations.as_ref().is_some_and(|declared| !declared.views().is_empty()),
            cache: services.cached.is_some(),
            alerts: services.alerts.is_some(),
            history: services.series.is_some(),
            execute: app.config.allow_execute,
        },
    })
}
