//! What runs beside the pooler: watching, recording, scheduling, REST and dashboard.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use pgprime_api::{LazyDatabase, Services};
use pgprime_monitor::alerts::{AlertCenter, AlertSettings, AlertSink};
use pgprime_monitor::health::{Direct, Place};
use pgprime_monitor::history::{HistorySink, SeriesStore};
use pgprime_monitor::watch::{Console, Monitor, MonitorHandle, PoolerSource, RoundSink, WatchConfig};
use pgprime_pooler::Handle;
use tokio::task::JoinSet;

use super::interface::Interface;
use super::parts::{CONNECT_TIMEOUT, Parts, Schedule};
use super::recorder;
use super::sources::{BuiltIn, Watched};
use super::views::Keeper;

/// What people call a pooler that is watched over its console.
const POOLER: &str = "the pooler";
/// Requests that are being answered at the end are waited for this long.
const END_MAX: Duration = Duration::from_secs(5);

/// Everything that was started.
pub(crate) struct System {
    monitor: MonitorHandle,
    alerts: Arc<AlertCenter>,
    background: JoinSet<()>,
    interface: Interface,
}

impl System {
    /// Starts all of it. The database may be away: it is waited for.
    pub(crate) async fn start(parts: &Parts, pooler: Option<Handle>) -> anyhow::Result<Self> {
        let database = LazyDatabase::new(parts.database());
        let cached = LazyDatabase::new(parts.cached_database());
        let (label, host) = label(&parts.url).await;
        let now = Timestamp::now();
        let series = SeriesStore::open(&parts.state.join("series.sqlite"), parts.history.of_series(), now);
        // A disk that is full must not keep anybody from being told of it.
        let series =
            series.inspect_err(|error| tracing::error!(%error, "no history is kept")).ok().map(Arc::new);
        let rules = named(parts.alerts.clone(), &database, &label);
        let alerts = AlertCenter::start(rules.clone(), Some(&parts.state.join("alerts.sqlite")), now);
        let alerts = alerts.or_else(|error| {
            tracing::error!(%error, "alerts are forgotten at a restart");
            AlertCenter::start(rules, None, now)
        });
        let alerts = Arc::new(alerts?);
        let monitor = watch(parts, &database, &cached, &host, pooler.as_ref(), series.as_ref(), &alerts)?;
        let statements = parts.state.join("history.sqlite");
        // What has begun ends with this, also when something after it cannot.
        let mut background = JoinSet::new();
        background.spawn(open(database.clone(), cached.clone()));
        background.spawn(recorder::record(
            database.clone(),
            statements.clone(),
            label.clone(),
            parts.history.clone(),
        ));
        if parts.schedule == Schedule::Ours && !parts.declarations.views().is_empty() {
            let keeper = Keeper {
                declarations: parts.declarations.clone(),
                url: parts.url.clone(),
                cached: cached.clone(),
                rounds: monitor.rounds(),
                stale_after: parts.stale_after(),
            };
            background.spawn(keeper.keep());
        }
        let services = Services {
            direct: Some(Direct::new(&parts.url, CONNECT_TIMEOUT)),
            statement_history: Some(statements),
            pooler,
            rounds: Some(monitor.rounds()),
            stale_after: parts.stale_after(),
            statements_kept: parts.cache.statements_ttl,
            advice_kept: parts.cache.advice_ttl,
            alerts: Some(Arc::clone(&alerts)),
            series,
            // One of its own: rounds and pages do not wait for each other.
            console: parts.pgbouncer_url.as_ref().map(|url| Arc::new(Console::new(POOLER, url))),
            console_of: parts.console_of,
            declarations: Some(Arc::new(parts.declarations.clone())),
            figures: Some(Arc::new(parts.figures.clone())),
            cached: Some(cached),
            place: Place::of_host(&host),
            ..Services::new(database, label)
        };
        let interface = Interface::start(parts.api.clone(), services).await;
        Ok(Self { monitor, alerts, background, interface })
    }

    /// Where REST and dashboard are; `None` while they cannot listen there.
    pub(crate) fn address(&self) -> Option<&str> {
        self.interface.address.as_deref()
    }

    /// Ends all of it, and lets go what is under way.
    pub(crate) async fn end(self) {
        let interface = self.interface.end();
        drop(self.background);
        self.monitor.stop().await;
        self.alerts.end().await;
        if tokio::time::timeout(END_MAX, interface).await.is_err() {
            tracing::warn!("some requests were cut off at the end");
        }
    }
}

/// Where nobody says what messages call the database, it is what it is: alerts of two databases must not be taken for one.
fn named(mut alerts: AlertSettings, database: &LazyDatabase, label: &str) -> AlertSettings {
    let source = &mut alerts.channels.sender.source;
    if source.is_empty() {
        *source = database.name().map_or_else(|| label.to_owned(), |name| format!("{name} at {label}"));
    }
    alerts
}

/// Host and port as histories name the database, and the host. A database that is away is named by its URL.
async fn label(url: &str) -> (String, String) {
    if let Ok(connected) = pgprime_client::connect(url, CONNECT_TIMEOUT).await {
        return (format!("{}:{}", connected.host, connected.port), connected.host);
    }
    let parsed: Option<tokio_postgres::Config> = url.parse().ok();
    let host = parsed.as_ref().and_then(|config| config.get_hosts().first()).map(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        tokio_postgres::config::Host::Unix(folder) => folder.display().to_string(),
    });
    let port = parsed.as_ref().and_then(|config| config.get_ports().first().copied()).unwrap_or(5432);
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    (format!("{host}:{port}"), host)
}

fn watch(
    parts: &Parts,
    database: &LazyDatabase,
    cached: &LazyDatabase,
    host: &str,
    pooler: Option<&Handle>,
    series: Option<&Arc<SeriesStore>>,
    alerts: &Arc<AlertCenter>,
) -> anyhow::Result<MonitorHandle> {
    let mut poolers: Vec<Box<dyn PoolerSource>> = Vec::new();
    poolers.extend(pooler.map(|handle| Box::new(BuiltIn::new(handle.clone())) as Box<dyn PoolerSource>));
    poolers.extend(
        parts.pgbouncer_url.as_ref().map(|url| Box::new(Console::new(POOLER, url)) as Box<dyn PoolerSource>),
    );
    let connect = Watched::new(database.clone(), &parts.url, parts.health.timeout, host);
    let report = |cached: LazyDatabase| move || Some(cached.connected()?.cache()?.snapshot());
    let config = WatchConfig {
        poolers,
        declarations: Some(parts.declarations.clone()).filter(|declared| !declared.views().is_empty()),
        cache: Some(Box::new(report(cached.clone()))),
        memory: alerts.memory(),
        ..WatchConfig::new(parts.health.clone(), Arc::new(connect))
    };
    let mut sinks: Vec<Box<dyn RoundSink>> = vec![Box::new(AlertSink(Arc::clone(alerts)))];
    if let Some(series) = series {
        let history = HistorySink::start(Arc::clone(series), Box::new(report(cached.clone())));
        sinks.push(Box::new(history.context("cannot start recording")?));
    }
    Ok(Monitor::start(config, sinks))
}

/// Opens the pools as soon as the database can be reached.
async fn open(database: LazyDatabase, cached: LazyDatabase) {
    for lazy in [database, cached] {
        let mut said = None;
        while let Err(why) = lazy.get().await {
            if said.as_ref() != Some(&why) {
                tracing::warn!(reason = why, "the database cannot be reached yet");
            }
            said = Some(why);
            tokio::time::sleep(CONNECT_TIMEOUT).await;
        }
    }
}
