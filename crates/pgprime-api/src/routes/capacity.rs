//! The planner as a form.

use axum::Json;
use pgprime_capacity::{CurvePoint, Inputs, Plan, ServiceTime, curve, plan};
use serde::{Deserialize, Serialize};

use crate::extract::Query;
use crate::problem::Problem;
use crate::security::Reader;

/// PostgreSQL's own limit of `max_connections`.
const CONNECTIONS_MAX: f64 = 262_143.0;

/// What a plan is made from.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Requests per second to expect.
    rps: f64,
    /// Requests per second at the busiest moment.
    peak_rps: Option<f64>,
    /// Milliseconds that a request holds its connection on average. Default 20.
    service_ms: Option<f64>,
    /// Milliseconds that 95 of 100 requests stay below.
    service_p95_ms: Option<f64>,
    /// Instances of the application. Default 1.
    instances: Option<u32>,
    /// Concurrent users.
    users: Option<u32>,
    /// `max_connections` of the database. Default 100.
    db_max_connections: Option<u32>,
    /// Connections that the database keeps for superusers. Default 3.
    db_reserved_connections: Option<u32>,
    /// The fraction of `max_connections` that the service may use. Default 0.8.
    safety_margin: Option<f64>,
    /// Cores of the database's machine.
    cores: Option<u32>,
    /// Milliseconds that 99 of 100 requests may wait for a connection. Default: one service time.
    p99_wait_ms: Option<f64>,
    /// Evaluate this size of the pool instead of calculating one.
    pool_size: Option<u32>,
    /// Whether there is a read replica.
    replica: Option<bool>,
}

/// The plan and its curve.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Capacity {
    /// As `pgprime plan --json` prints it.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    plan: Plan,
    /// What each number of connections would mean at the peak.
    #[schema(value_type = Vec<Object>)]
    curve: Vec<CurvePoint>,
}

/// Every size from load and limits
#[utoipa::path(get, path = "/api/v1/monitoring/capacity", tag = "capacity", params(Parameters),
    responses((status = 200, body = Capacity), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(crate) async fn capacity(
    _: Reader,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Capacity>, Problem> {
    let plan = plan(&inputs(&parameters)?).map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(Json(Capacity { curve: curve(&plan), plan }))
}

fn inputs(parameters: &Parameters) -> Result<Inputs, Problem> {
    let mean_ms = parameters.service_ms.unwrap_or(20.0);
    let service = match parameters.service_p95_ms {
        Some(p95_ms) => ServiceTime::from_mean_and_p95(mean_ms, p95_ms),
        None => ServiceTime::exponential(mean_ms),
    };
    let service = service.map_err(|error| Problem::bad_request(error.to_string()))?;
    let demand = parameters.peak_rps.unwrap_or(parameters.rps) * mean_ms / 1e3;
    if demand > CONNECTIONS_MAX {
        return Err(Problem::bad_request(format!(
            "{demand:.0} connections would be busy at once, more than the {CONNECTIONS_MAX} that PostgreSQL can have"
        )));
    }
    let instances = parameters.instances.unwrap_or(1);
    let max_connections = parameters.db_max_connections.unwrap_or(100);
    let mut inputs = Inputs::new(parameters.rps, service, instances, max_connections);
    inputs.requests_per_s_peak = parameters.peak_rps;
    inputs.users = parameters.users;
    inputs.reserved_connections = parameters.db_reserved_connections.unwrap_or(inputs.reserved_connections);
    inputs.safety_margin = parameters.safety_margin.unwrap_or(inputs.safety_margin);
    inputs.cores = parameters.cores;
    inputs.wait_ms_p99_target = parameters.p99_wait_ms;
    inputs.pool_size = parameters.pool_size;
    inputs.has_replica = parameters.replica.unwrap_or(false);
    Ok(inputs)
}
