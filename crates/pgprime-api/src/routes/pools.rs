//! Connection pools: the pooler's, PgBouncer's, this process's own, and what the database has.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use pgprime_client::DatabaseReport;
use pgprime_monitor::health::{Missing, PoolerSeen, States};
use pgprime_monitor::pooler::{PoolerFinding, PoolerKind, PoolerReport, diagnose, of_handle};
use serde::Serialize;

use crate::app::App;
use crate::live::LiveRates;
use crate::poolers::PoolerAt;
use crate::problem::Problem;
use crate::security::Reader;

/// All pools at this moment.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PoolStats {
    #[schema(value_type = String, format = DateTime)]
    taken_at: Timestamp,
    /// The built-in pooler; without one a pgprime elsewhere that is watched, as of the last round.
    #[schema(value_type = Option<Object>)]
    pooler: Option<PoolerReport>,
    /// PgBouncer, where one is watched: as of the last round.
    #[schema(value_type = Option<Object>)]
    pgbouncer: Option<PoolerReport>,
    /// The pools of this process.
    #[schema(value_type = Option<Object>)]
    application: Option<DatabaseReport>,
    /// The database's connections, as of the last round.
    server: Option<ServerStats>,
    /// What the pooler of `rates_of` did in the last seconds. A console is read while somebody watches live events, and for a
    /// minute after this was asked: the first answer after a quiet time may have none.
    rates: Option<LiveRates>,
    /// The pooler in this process, else the one that is watched.
    rates_of: Option<PoolerAt>,
    /// What is wrong with the poolers, why, and what changes it.
    #[schema(value_type = Vec<Object>)]
    findings: Vec<PoolerFinding>,
    #[schema(value_type = Vec<Object>)]
    missing: Vec<Missing>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ServerStats {
    max_connections: u64,
    /// Of those, for administrators.
    reserved: u64,
    used: u64,
    #[schema(value_type = Object)]
    by_state: States,
}

/// Connection pools: clients, waits, servers
#[utoipa::path(get, path = "/api/v1/monitoring/pool-stats", tag = "pools",
    responses((status = 200, body = PoolStats), (status = 401, body = Problem)))]
pub(crate) async fn pool_stats(State(app): State<Arc<App>>, _: Reader) -> Json<PoolStats> {
    let mut pooler = match &app.services.pooler {
        Some(handle) => Some(of_handle(handle).await),
        None => None,
    };
    let round = app.round();
    let (mut pgbouncer, mut missing) = (None, Vec::new());
    for PoolerSeen { name, seen } in round.iter().flat_map(|round| round.poolers.iter()) {
        match seen {
            Ok(report) if report.kind == PoolerKind::Pgbouncer => pgbouncer = Some(report.clone()),
            // One of pgprime's elsewhere, watched over its console; our own has just been asked.
            Ok(report) => {
                pooler.get_or_insert_with(|| report.clone());
            }
            Err(trouble) => missing.push(Missing {
                what: format!("the pooler {name}"),
                why: trouble.text.clone(),
                statement: None,
            }),
        }
    }
    let (measured_at, rates) = app.live.ask().and_then(|live| live.rates()).unzip();
    let findings = pooler.iter().chain(&pgbouncer).flat_map(|report| diagnose(report, None)).collect();
    Json(PoolStats {
        taken_at: Timestamp::now(),
        pooler,
        pgbouncer,
        application: app.services.database.connected().map(|database| database.report()),
        server: round.as_ref().and_then(|round| {
            let observation = round.observation.as_ref()?;
            let states = *observation.states.as_ref().ok()?;
            let server = &observation.server;
            let (max_connections, reserved) = (server.connections_max, server.connections_reserved);
            Some(ServerStats { max_connections, reserved, used: states.used, by_state: states })
        }),
        rates,
        rates_of: measured_at.or_else(|| Some(app.services.pooler()?.at())),
        findings,
        missing,
    })
}
