//! Figures that change every second: sampled once for all who watch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pgprime_monitor::health::Status;
use pgprime_monitor::pooler::{PoolerRates, PoolerReport, of_handle, rates};
use pgprime_monitor::watch::{PoolerSource as _, Round};
use pgprime_pooler::Handle;
use pgprime_pooler::core::Measured;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::freshness::Stale;
use crate::poolers::{Pooler, PoolerAt};

const EVERY: Duration = Duration::from_secs(2);
/// A console that takes longer does not keep the other figures waiting.
const CONSOLE_MAX: Duration = Duration::from_millis(1_500);
/// One that was away is left alone for this long.
const CONSOLE_AWAY: Duration = Duration::from_secs(5);
/// Whoever has asked once may ask again: a console is read for this long after.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// What is happening now.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Live {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The built-in pooler, else the one that is watched over its console; `null` without one, and while it does not answer.
    pooler: Option<LivePooler>,
    /// The database, as the last round of watching saw it.
    server: Option<LiveServer>,
    /// The gravest status of all checks; unknown where that is stale.
    #[schema(value_type = Option<String>)]
    status: Option<Status>,
    /// Why nothing is known of the database; `null` while rounds end in time.
    stale: Option<Stale>,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
struct LivePooler {
    #[serde(flatten)]
    at: PoolerAt,
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
    /// Mean time that a transaction had its server.
    transaction_ms_mean: Option<f64>,
    /// Times of executions on servers, give or take 6 %; `null` where a console tells none.
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
struct LiveServer {
    used: u64,
    max_connections: u64,
    /// Of those, for administrators.
    reserved: u64,
    active: u64,
}

impl Live {
    /// What the pooler did in the last interval, and which one it is.
    pub(crate) fn rates(&self) -> Option<(PoolerAt, LiveRates)> {
        let pooler = self.pooler.as_ref()?;
        Some((pooler.at.clone(), pooler.rates?))
    }
}

/// The last figures, and whether somebody wants to know.
pub(crate) struct Feed {
    publish: Sender<Option<Arc<Live>>>,
    asked: Mutex<Instant>,
    woken: Notify,
}

impl Feed {
    pub(crate) fn new() -> Self {
        // Whoever has started it is about to look.
        Self { publish: Sender::new(None), asked: Mutex::new(Instant::now()), woken: Notify::new() }
    }

    /// Told of each sample.
    pub(crate) fn subscribe(&self) -> Receiver<Option<Arc<Live>>> {
        let was_wanted = self.is_wanted();
        let receiver = self.publish.subscribe();
        if !was_wanted {
            self.woken.notify_one();
        }
        receiver
    }

    /// The last sample.
    pub(crate) fn ask(&self) -> Option<Arc<Live>> {
        let was_wanted = self.is_wanted();
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if !was_wanted {
            self.woken.notify_one();
        }
        self.publish.borrow().clone()
    }

    fn is_wanted(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        self.publish.receiver_count() > 0 || asked.elapsed() < ASKED_MAX
    }
}

/// What is sampled.
pub(crate) struct Sampler {
    pub(crate) pooler: Option<Pooler>,
    pub(crate) rounds: Option<Receiver<Option<Arc<Round>>>>,
    pub(crate) stale_after: Duration,
    pub(crate) feed: Arc<Feed>,
}

impl Sampler {
    /// Samples for ever.
    pub(crate) async fn run(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reader = Reader::default();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.feed.woken.notified() => ticks.reset(),
            }
            let round = self.rounds.as_ref().and_then(|rounds| rounds.borrow().clone());
            let pooler = match &self.pooler {
                Some(Pooler::BuiltIn(handle)) => Some(reader.built_in(handle).await),
                Some(watched @ Pooler::Watched(..)) if self.feed.is_wanted() => {
                    reader.watched(watched, round.as_deref()).await
                }
                Some(Pooler::Watched(..)) => {
                    reader.forget();
                    None
                }
                None => None,
            };
            let at = self.pooler.as_ref().map(Pooler::at);
            let pooler = at.zip(pooler).map(|(at, (report, rates))| live_pooler(at, &report, rates));
            let stale = round.as_ref().and_then(|round| Stale::of(round, self.stale_after));
            self.feed.publish.send_replace(Some(Arc::new(live(round.as_deref(), stale, pooler))));
        }
    }
}

type Read = (PoolerReport, Option<LiveRates>);

/// The pooler at one moment after the other.
#[derive(Default)]
struct Reader {
    before: Option<PoolerReport>,
    executed: Option<Measured>,
    away_until: Option<Instant>,
}

impl Reader {
    async fn built_in(&mut self, handle: &Handle) -> Read {
        let (report, executed) = (of_handle(handle).await, handle.executions().await);
        let of_interval = self.before.as_ref().zip(self.executed.as_ref()).and_then(|(before, were)| {
            Some(with_percentiles(of_interval(&rates(before, &report)?), &executed.since(were)))
        });
        (self.before, self.executed) = (Some(report.clone()), Some(executed));
        (report, of_interval)
    }

    /// Where nothing was read before, the last round tells from where to count.
    async fn watched(&mut self, pooler: &Pooler, round: Option<&Round>) -> Option<Read> {
        let Pooler::Watched(console, _) = pooler else { return None };
        if self.away_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let Ok(Ok(report)) = timeout(CONSOLE_MAX, console.read()).await else {
            self.forget();
            self.away_until = Some(Instant::now() + CONSOLE_AWAY);
            return None;
        };
        let before = self.before.take().or_else(|| seen_by(round?, &report));
        let of_interval = before.and_then(|before| Some(of_interval(&rates(&before, &report)?)));
        (self.before, self.away_until) = (Some(report.clone()), None);
        Some((report, of_interval))
    }

    fn forget(&mut self) {
        self.before = None;
    }
}

/// The same pooler in a round that has ended lately.
fn seen_by(round: &Round, now: &PoolerReport) -> Option<PoolerReport> {
    let mut reports = round.poolers.iter().filter_map(|pooler| pooler.seen.as_ref().ok());
    let is_fresh = |report: &&PoolerReport| {
        report.kind == now.kind && now.taken_at.duration_since(report.taken_at).unsigned_abs() < ASKED_MAX
    };
    reports.find(is_fresh).cloned()
}

fn of_interval(rates: &PoolerRates) -> LiveRates {
    LiveRates {
        seconds: rates.seconds,
        transactions_per_s: rates.transactions_per_s,
        queries_per_s: rates.queries_per_s,
        wait_ms_mean: rates.wait_ms_mean,
        query_ms_mean: rates.query_ms_mean,
        transaction_ms_mean: rates.transaction_ms_mean,
        p50_ms: None,
        p95_ms: None,
        p99_ms: None,
    }
}

fn with_percentiles(rates: LiveRates, executions: &Measured) -> LiveRates {
    let quantile =
        |share: f64| (executions.calls() > 0).then(|| executions.exec_us_quantile(share) as f64 / 1e3);
    LiveRates { p50_ms: quantile(0.5), p95_ms: quantile(0.95), p99_ms: quantile(0.99), ..rates }
}

fn live(round: Option<&Round>, stale: Option<Stale>, pooler: Option<LivePooler>) -> Live {
    Live {
        at: Timestamp::now(),
        pooler,
        server: round.filter(|_| stale.is_none()).and_then(server),
        status: round.map(|round| if stale.is_some() { Status::Unknown } else { round.report.status }),
        stale,
    }
}

fn live_pooler(at: PoolerAt, report: &PoolerReport, rates: Option<LiveRates>) -> LivePooler {
    let sum = |of: fn(&pgprime_monitor::pooler::PoolerPool) -> u64| report.pools.iter().map(of).sum();
    LivePooler {
        at,
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
    let server = &observation.server;
    Some(LiveServer {
        used: states.used,
        max_connections: server.connections_max,
        reserved: server.connections_reserved,
        active: states.active,
    })
}
