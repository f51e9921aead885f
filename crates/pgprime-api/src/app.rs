//! What the handlers share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pgprime_advisor::slow::{PoolerStatements, Snapshot};
use pgprime_advisor::space::SpaceReport;
use pgprime_client::{Database, PooledConnection};
use pgprime_monitor::alerts::AlertCenter;
use pgprime_monitor::checklist::ChecklistReport;
use pgprime_monitor::health::{Direct, Place};
use pgprime_monitor::history::SeriesStore;
use pgprime_monitor::pooler::PoolerKind;
use pgprime_monitor::watch::{Console, Round};
use pgprime_planner::hardware::Hardware;
use pgprime_pooler::Handle;
use pgprime_views::{AdminMetrics, Declarations, Figures, FiguresUnderWay};
use tokio::sync::{Semaphore, watch};

use crate::config::ApiConfig;
use crate::freshness::Health;
use crate::lazy::LazyDatabase;
use crate::limits::{ACQUIRE_MAX, LOOK_MAX, PING_MAX, within};
use crate::live::Feed;
use crate::looks::{Indexes, Views};
use crate::memo::Memo;
use crate::poolers::Pooler;
use crate::problem::Problem;
use crate::security::{Audit, Rates, Role, Tokens};

/// What the interface asks. What is `None` is not there, and its endpoints say so.
#[derive(Clone)]
pub struct Services {
    /// The database; of its pools, only the admin pool is used.
    pub database: LazyDatabase,
    /// The way to the database past its pools: a new connection has the settings that an application's have. `None`: the
    /// checklist judges what a connection of the admin pool shows.
    pub direct: Option<Direct>,
    /// The name of the database in histories: host and port.
    pub label: String,
    /// The file with the past of statements.
    pub statement_history: Option<PathBuf>,
    /// The built-in pooler.
    pub pooler: Option<Handle>,
    /// What watches: its latest round.
    pub rounds: Option<watch::Receiver<Option<Arc<Round>>>>,
    /// A round that ended longer ago tells nothing any more: three intervals, usually.
    pub stale_after: Duration,
    /// Counters of statements are read again after this time. Default 5 s.
    pub statements_kept: Duration,
    /// Advice is asked for again after this time: it takes the planner seconds of work, and changes slowly. Default 60 s.
    pub advice_kept: Duration,
    /// Alerts.
    pub alerts: Option<Arc<AlertCenter>>,
    /// Series of figures.
    pub series: Option<Arc<SeriesStore>>,
    /// The console of a pooler that is not in this process, with a connection for this interface alone. It is asked while
    /// somebody wants to know, and only where `pooler` is `None`.
    pub console: Option<Arc<Console>>,
    /// Which pooler is to be expected there; it says itself which it is.
    pub console_of: PoolerKind,
    /// Materialized views that are looked after.
    pub declarations: Option<Arc<Declarations>>,
    /// Figures of the admin metrics.
    pub figures: Option<Arc<Figures>>,
    /// The database once more, with a cache of results, which figures are read through. `database` has none.
    pub cached: Option<LazyDatabase>,
    /// Where the database's server is.
    pub place: Place,
    /// Its machine, as far as somebody has stated it.
    pub machine: Hardware,
}

impl Services {
    /// The database alone.
    #[must_use]
    pub fn new(database: LazyDatabase, label: impl Into<String>) -> Self {
        Self {
            database,
            direct: None,
            label: label.into(),
            statement_history: None,
            pooler: None,
            rounds: None,
            stale_after: Duration::from_secs(30),
            statements_kept: Duration::from_secs(5),
            advice_kept: Duration::from_secs(60),
            alerts: None,
            series: None,
            console: None,
            console_of: PoolerKind::Pgbouncer,
            declarations: None,
            figures: None,
            cached: None,
            place: Place::Elsewhere,
            machine: Hardware::default(),
        }
    }

    /// The pooler whose figures are shown: the one in this process, else one that is watched.
    pub(crate) fn pooler(&self) -> Option<Pooler> {
        let watched = || self.console.clone().map(|console| Pooler::Watched(console, self.console_of));
        self.pooler.clone().map(Pooler::BuiltIn).or_else(watched)
    }
}

/// Figures have their own times in the cache.
const METRICS_KEPT: Duration = Duration::from_secs(2);

/// Pages that listen to live events at once; no more than half of all connections, so that there are always some for
/// those who ask and go.
const LISTENERS_MAX: usize = 200;

/// One for all requests.
pub(crate) struct App {
    pub(crate) config: ApiConfig,
    pub(crate) services: Services,
    pub(crate) tokens: Tokens,
    pub(crate) rates: Rates,
    pub(crate) audit: Audit,
    pub(crate) started_at: Timestamp,
    pub(crate) statements: Memo<Arc<Snapshot>>,
    pub(crate) indexes: Memo<Arc<Indexes>>,
    pub(crate) space: Memo<Arc<SpaceReport>>,
    pub(crate) views: Memo<Arc<Views>>,
    pub(crate) admin_metrics: Memo<Arc<AdminMetrics>>,
    /// Figures that take longer than anybody waits for them.
    pub(crate) figures_under_way: FiguresUnderWay,
    pub(crate) checklist: Memo<Arc<ChecklistReport>>,
    pub(crate) pooler_statements: Memo<Arc<PoolerStatements>>,
    /// What is happening now; sampled while the interface runs.
    pub(crate) live: Arc<Feed>,
    /// Places for those who listen to live events.
    pub(crate) listeners: Arc<Semaphore>,
    /// Becomes true when the interface ends: streams end with it.
    pub(crate) ending: watch::Sender<bool>,
}

impl App {
    pub(crate) fn new(config: ApiConfig, services: Services) -> std::io::Result<Arc<Self>> {
        let (statements_kept, advice_kept) = (services.statements_kept, services.advice_kept);
        Ok(Arc::new(Self {
            tokens: Tokens::new(&config.tokens),
            rates: Rates::new(config.requests_per_minute),
            audit: Audit::open(config.audit_file.as_deref())?,
            started_at: Timestamp::now(),
            statements: Memo::new(statements_kept),
            indexes: Memo::new(advice_kept),
            space: Memo::new(advice_kept),
            views: Memo::new(statements_kept),
            admin_metrics: Memo::new(METRICS_KEPT),
            figures_under_way: FiguresUnderWay::default(),
            checklist: Memo::new(advice_kept),
            pooler_statements: Memo::new(statements_kept),
            live: Arc::new(Feed::new()),
            listeners: Arc::new(Semaphore::new(LISTENERS_MAX.min(config.connections_max / 2))),
            ending: watch::Sender::new(false),
            services,
            config,
        }))
    }

    /// The database, or a problem that says why it is not there.
    pub(crate) async fn database(&self) -> Result<Database, Problem> {
        within(LOOK_MAX, self.services.database.or_problem()).await
    }

    /// A connection of the admin pool that has just answered.
    pub(crate) async fn connection(&self) -> Result<PooledConnection, Problem> {
        let silent = || Problem::unavailable("the database accepts connections and does not answer");
        let admin = self.database().await?.admin().with_wait(ACQUIRE_MAX);
        loop {
            let connection = Box::pin(admin.acquire()).await.map_err(Problem::from)?;
            let answered = tokio::time::timeout(PING_MAX, connection.client_local().batch_execute(""));
            match answered.await {
                Ok(Ok(())) => return Ok(connection),
                // It was lost while nobody used it; the pool does not hand it out again.
                Ok(Err(error)) => tracing::debug!(%error, "a connection of the admin pool was lost"),
                Err(_) => return Err(silent()),
            }
        }
    }

    /// The latest round of watching, if there was one.
    pub(crate) fn round(&self) -> Option<Arc<Round>> {
        self.services.rounds.as_ref().and_then(|rounds| rounds.borrow().clone())
    }

    /// Which pooler answers at the console that is watched, if one is: as it has said, else as it is configured.
    pub(crate) fn console_kind(&self) -> Option<PoolerKind> {
        let console = self.services.console.as_ref()?;
        let seen = || {
            let round = self.round()?;
            let mut kinds = round.poolers.iter().filter_map(|pooler| Some(pooler.seen.as_ref().ok()?.kind));
            // The one in this process is of ours.
            let ours = usize::from(self.services.pooler.is_some());
            kinds.nth(ours)
        };
        Some(console.met().map(|met| met.kind).or_else(seen).unwrap_or(self.services.console_of))
    }

    /// What the last round said, as somebody of this role sees it.
    pub(crate) fn health(&self, role: Role) -> Option<Health> {
        Some(Health::of(&*self.round()?, self.services.stale_after, role))
    }

    /// Whether `host` (with its port) is a name of this machine, or one that the configuration allows.
    pub(crate) fn is_own_host(&self, host: &str) -> bool {
        let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, after)) => (address, after.strip_prefix(':').or(after.is_empty().then_some(""))),
            None => host.rsplit_once(':').map_or((host, Some("")), |(name, port)| (name, Some(port))),
        };
        if !port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit())) {
            return false;
        }
        let is_address = name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_known = |known: &String| known.eq_ignore_ascii_case(name);
        is_address || name.eq_ignore_ascii_case("localhost") || self.config.hosts.iter().any(is_known)
    }
}
