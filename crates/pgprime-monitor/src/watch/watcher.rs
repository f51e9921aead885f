//! One round after another, at whatever pace.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pgprime_advisor::space::{self, SpaceOptions};
use pgprime_views::{Declarations, ViewsError};

use super::beside::Beside;
use super::caught;
use super::round::Round;
use crate::health::{
    Connect, Down, Evidence, HealthReport, Look, Looked, Memory, Missing, Past, PoolerSeen, PoolerTrouble,
    Remembered, Settings, SpaceSummary, Status,
};
use crate::pooler::PoolerReport;

/// A pooler's console answers in milliseconds.
const POOLER_TIMEOUT: Duration = Duration::from_secs(2);
/// A report on space reads statistics of all columns; a database for which that takes longer needs another way.
const SPACE_TIMEOUT: Duration = Duration::from_secs(120);
/// A look at views plans each of their queries.
const VIEWS_TIMEOUT: Duration = Duration::from_secs(30);

/// What a future of [`PoolerSource`] is.
pub type PoolerReading<'a> = Pin<Box<dyn Future<Output = Result<PoolerReport, PoolerTrouble>> + Send + 'a>>;

/// A pooler that is watched.
pub trait PoolerSource: Send + Sync {
    /// What people call it, without secrets.
    fn name(&self) -> String;

    /// Its figures at this moment. The round bounds it.
    fn read(&self) -> PoolerReading<'_>;
}

/// What the result cache says of itself.
pub type CacheSource = Box<dyn Fn() -> Option<pgprime_cache::Report> + Send + Sync>;

/// What is watched, and how.
pub struct WatchConfig {
    /// How often, how long, and from where on it is bad.
    pub settings: Settings,
    /// Connections to the database.
    pub connect: Arc<dyn Connect>,
    /// The poolers in front of it.
    pub poolers: Vec<Box<dyn PoolerSource>>,
    /// Declared views, where there are any.
    pub declarations: Option<Declarations>,
    /// The result cache, where there is one.
    pub cache: Option<CacheSource>,
    /// Values of the past; else those of this process's own rounds.
    pub past: Option<Arc<dyn Past + Send + Sync>>,
    /// What an earlier process had in mind.
    pub memory: Option<Memory>,
}

impl WatchConfig {
    /// The database alone.
    #[must_use]
    pub fn new(settings: Settings, connect: Arc<dyn Connect>) -> Self {
        let (poolers, declarations, cache, past, memory) = (Vec::new(), None, None, None, None);
        Self { settings, connect, poolers, declarations, cache, past, memory }
    }
}

/// Takes rounds.
pub struct Watcher {
    config: WatchConfig,
    look: Look,
    remembered: Remembered,
    space: Beside<SpaceSummary>,
    views: Beside<pgprime_views::Status>,
    number: u64,
}

impl Watcher {
    /// Of what the configuration says.
    #[must_use]
    pub fn new(mut config: WatchConfig) -> Self {
        Self {
            look: Look::new(Arc::clone(&config.connect)).recalling(config.memory.take()),
            remembered: Remembered::default(),
            space: Beside::new(config.settings.space_every, SPACE_TIMEOUT),
            views: Beside::new(config.settings.views_every, VIEWS_TIMEOUT),
            number: 0,
            config,
        }
    }

    /// One round. It ends within [`Settings::timeout`], or two seconds where that is less and a pooler is silent.
    pub async fn round(&mut self) -> Round {
        self.number += 1;
        match caught::future(self.attempt()).await {
            Ok(round) => round,
            Err(panic) => {
                tracing::error!(
                    panic,
                    round = self.number,
                    "a round of watching has failed; the next one comes"
                );
                self.failed(&panic)
            }
        }
    }

    /// Waits for what is looked at beside the rounds, for a report that is to be whole.
    pub async fn wait_for_all(&mut self) {
        self.space.finish().await;
        self.views.finish().await;
    }

    async fn attempt(&mut self) -> Round {
        let settings = &self.config.settings;
        let poolers = read_all(&self.config.poolers);
        let (looked, poolers) = tokio::join!(self.look.take(settings), poolers);
        if looked.observed.is_ok() {
            self.beside().await;
        }
        let cache = self.config.cache.as_ref().and_then(|cache| cache());
        let missing = self.trouble();
        let past: &dyn Past = match &self.config.past {
            Some(past) => &**past,
            None => &self.remembered,
        };
        let evidence = Evidence {
            poolers: &poolers,
            missing: &missing,
            space: self.space.latest().map(|space| &**space),
            views: self.views.latest().map(|views| &**views),
            cache: cache.as_ref(),
            past: Some(past),
            ..looked.evidence(self.look.earlier().map(|earlier| &**earlier))
        };
        let report = looked.report(&evidence, &self.config.settings);
        self.look.remember(&looked);
        self.remembered.remember(&report);
        self.publish(looked, report, poolers)
    }

    fn publish(&self, looked: Looked, report: HealthReport, poolers: Vec<PoolerSeen>) -> Round {
        Round {
            number: self.number,
            ended_at: Instant::now(),
            report: Arc::new(report),
            observation: looked.observed.ok(),
            poolers: Arc::new(poolers),
            space: self.space.latest().cloned(),
            views: self.views.latest().cloned(),
        }
    }

    /// Begins what is due beside the rounds, and takes in what is done.
    async fn beside(&mut self) {
        let connect = Arc::clone(&self.config.connect);
        self.space.turn(|| space_summary(connect)).await;
        if let Some(declarations) =
            self.config.declarations.clone().filter(|declared| !declared.views().is_empty())
        {
            let connect = Arc::clone(&self.config.connect);
            self.views.turn(|| views_status(connect, declarations)).await;
        }
    }

    fn trouble(&self) -> Vec<Missing> {
        let one = |what: &str, why: Option<&str>| {
            why.map(|why| Missing { what: what.to_owned(), why: why.to_owned(), statement: None })
        };
        let all =
            [one("waste in tables and indexes", self.space.trouble()), one("views", self.views.trouble())];
        let space = self.space.latest();
        let unseen = space.into_iter().flat_map(|space| {
            let mut parts = [&space.tables.unseen, &space.indexes.unseen, &space.sequences.unseen];
            // A GRANT for tables is one for their indexes.
            if parts[0] == parts[1] {
                parts[1] = &None;
            }
            parts.into_iter().flatten().cloned()
        });
        all.into_iter().flatten().chain(unseen).collect()
    }

    /// The report of a round that did not come to its end.
    fn failed(&self, panic: &str) -> Round {
        let why = format!("this round has failed: {panic}");
        let report = HealthReport {
            taken_at: Timestamp::now(),
            status: Status::Unknown,
            server_version: None,
            in_recovery: None,
            took_ms: 0.0,
            checks: Vec::new(),
            missing: vec![Missing { what: "all checks".to_owned(), why, statement: None }],
        };
        let looked = Looked {
            taken_at: report.taken_at,
            took: Duration::ZERO,
            observed: Err(Down::silent(Duration::ZERO)),
        };
        self.publish(looked, report, Vec::new())
    }
}

async fn read_all(sources: &[Box<dyn PoolerSource>]) -> Vec<PoolerSeen> {
    let mut seen = Vec::with_capacity(sources.len());
    let deadline = Instant::now() + POOLER_TIMEOUT;
    for source in sources {
        let left = deadline.saturating_duration_since(Instant::now());
        let outcome = tokio::time::timeout(left, source.read()).await;
        let seen_or_not = outcome.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", POOLER_TIMEOUT.as_secs());
            Err(PoolerTrouble { is_down: true, text })
        });
        seen.push(PoolerSeen { name: source.name(), seen: seen_or_not });
    }
    seen
}

async fn space_summary(connect: Arc<dyn Connect>) -> Result<SpaceSummary, String> {
    let connected = connect.connect().await.map_err(|down| down.text)?;
    let report = space::report(connected.connection.client(), &SpaceOptions::default()).await;
    let report = report.map_err(|error| error.to_string())?;
    Ok(SpaceSummary::of(&report, Timestamp::now()))
}

async fn views_status(
    connect: Arc<dyn Connect>,
    declarations: Declarations,
) -> Result<pgprime_views::Status, String> {
    let connected = connect.connect().await.map_err(|down| down.text)?;
    let status =
        pgprime_views::status(connected.connection.client(), &declarations, declarations.policy()).await;
    // A replica or a role that may not read the state of views is no failure of the views.
    status.map_err(|error| match error {
        // Its text ends with a page of SQL.
        ViewsError::NotSetUp { .. } => {
            "the tables of pgprime are not in this database: pgprime views apply makes them".to_owned()
        }
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    })
}
