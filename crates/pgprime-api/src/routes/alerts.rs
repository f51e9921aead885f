//! Alerts: what fires, what did, and whether messages arrive.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pgprime_monitor::alerts::{AlertCenter, AlertsView, Delivery};
use serde::Serialize;

use crate::app::App;
use crate::problem::Problem;
use crate::security::{Administrator, Reader};
use crate::values;

fn center(app: &App) -> Result<&Arc<AlertCenter>, Problem> {
    app.services
        .alerts
        .as_ref()
        .ok_or_else(|| Problem::not_found("no alerts are kept here: they need `pgprime run`"))
}

/// What fires, what is about to, and what did
#[utoipa::path(get, path = "/api/v1/monitoring/alerts", tag = "alerts",
    responses((status = 200, description = "firing, pending, history, rules, channels", body = Object),
        (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn alerts(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
) -> Result<Json<AlertsView>, Problem> {
    Ok(Json(values::alerts(center(&app)?.view(), caller.role)))
}

/// How the test went on each channel.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Deliveries {
    #[schema(value_type = Vec<Object>)]
    deliveries: Vec<Delivery>,
}

/// Send a test message to each channel
#[utoipa::path(post, path = "/api/v1/monitoring/alerts/test", tag = "alerts",
    responses((status = 200, body = Deliveries), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    Administrator(caller): Administrator,
) -> Result<Json<Deliveries>, Problem> {
    let deliveries = center(&app)?.test_delivery().await;
    app.audit.note(&caller, "test alerts", &format!("{} channels", deliveries.len()), "done");
    Ok(Json(Deliveries { deliveries }))
}
