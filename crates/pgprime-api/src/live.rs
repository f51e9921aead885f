//! Figures that change every second: sampled once for all who watch.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pgprime_monitor::health::Status;
use pgprime_monitor::pooler::{PoolerRates, PoolerReport, of_handle, rates};
use pgprime_monitor::watch::Round;
use pgprime_pooler::Handle;
use pgprime_pooler::core::Measured;
use serde::Serialize;
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval};

use crate::freshness::Stale;

const EVERY: Duration = Duration::from_secs(2);

/// What is happening now.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Live {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The built-in pooler; `null` without one.
    pooler: Option<LivePooler>,
    /// The database, as the last round of watching saw it.
    server: Option<LiveServer>,
    /// The gravest status of all checks; unknown where that is stale.
    #[schema(value_type = Option<String>)]
    status: Option<Status>,
    /// Why nothing is known of the database; `null` while rounds end in time.
    stale: Option<Stale>,
    /// What the interval had, for `pool-stats`.
    #[serde(skip)]
    pub(crate) rates: Option<LiveRates>,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
struct LivePooler {
    clients_active: u64,
    clients_waiting: u64,
    servers_active: u64,
    servers_idle: u64,
    wait_s_max: f64,
    #[serde(flatten)]
    rates: Option<LiveRates>,
}

/// What happened in the last interval.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LiveRates {
    /// Length of the interval.
    seconds: f64,
    transactions_per_s: f64,
    queries_per_s: f64,
    /// Mean wait for a server over all transactions.
    wait_ms_mean: Option<f64>,
    query_ms_mean: Option<f64>,
    /// Times of executions on servers, give or take 6 %.
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
struct LiveServer {
    used: u64,
    max_connections: u64,
    active: u64,
}

/// Samples for ever.
pub(crate) async fn sample(
    pooler: Option<Handle>,
    rounds: Option<Receiver<Option<Arc<Round>>>>,
    stale_after: Duration,
    publish: Sender<Option<Arc<Live>>>,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        ticks.tick().await;
        let now = match &pooler {
            Some(handle) => Some(look(handle).await),
            None => None,
        };
        let round = rounds.as_ref().and_then(|rounds| rounds.borrow().clone());
        let stale = round.as_ref().and_then(|round| Stale::of(round, stale_after));
        let live = live(round.as_deref(), stale, before.as_ref(), now.as_ref());
        publish.send_replace(Some(Arc::new(live)));
        before = now;
    }
}

type Look = (PoolerReport, Measured);

async fn look(handle: &Handle) -> Look {
    (of_handle(handle).await, handle.executions().await)
}

fn live(round: Option<&Round>, stale: Option<Stale>, before: Option<&Look>, now: Option<&Look>) -> Live {
    let of_interval = before
        .zip(now)
        .and_then(|(before, now)| Some(with_percentiles(rates(&before.0, &now.0)?, &now.1.since(&before.1))));
    Live {
        at: Timestamp::now(),
        pooler: now.map(|(report, _)| pooler(report, of_interval)),
        server: round.filter(|_| stale.is_none()).and_then(server),
        status: round.map(|round| if stale.is_some() { Status::Unknown } else { round.report.status }),
        stale,
        rates: of_interval,
    }
}

fn with_percentiles(rates: PoolerRates, executions: &Measured) -> LiveRates {
    let quantile =
        |share: f64| (executions.calls() > 0).then(|| executions.exec_us_quantile(share) as f64 / 1e3);
    LiveRates {
        seconds: rates.seconds,
        transactions_per_s: rates.transactions_per_s,
        queries_per_s: rates.queries_per_s,
        wait_ms_mean: rates.wait_ms_mean,
        query_ms_mean: rates.query_ms_mean,
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        p99_ms: quantile(0.99),
    }
}

fn pooler(report: &PoolerReport, rates: Option<LiveRates>) -> LivePooler {
    let sum = |of: fn(&pgprime_monitor::pooler::PoolerPool) -> u64| report.pools.iter().map(of).sum();
    LivePooler {
        clients_active: sum(|pool| pool.clients_active),
        clients_waiting: sum(|pool| pool.clients_waiting),
        servers_active: sum(|pool| pool.servers_active),
        servers_idle: sum(|pool| pool.servers_idle),
        wait_s_max: report.pools.iter().map(|pool| pool.wait_s_max).fold(0.0, f64::max),
        rates,
    }
}

fn server(round: &Round) -> Option<LiveServer> {
    let observation = round.observation.as_ref()?;
    let states = observation.states.as_ref().ok()?;
    let max_connections = observation.server.connections_max;
    Some(LiveServer { used: states.used, max_connections, active: states.active })
}
