//! Everything the configuration says, read before anything is started: a mistake is said at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use pgprime_api::ApiConfig;
use pgprime_client::cache::RedisConfig;
use pgprime_client::{DatabaseConfig, ResultCacheConfig};
use pgprime_monitor::alerts::AlertSettings;
use pgprime_monitor::health::Settings;
use pgprime_monitor::pooler::PoolerKind;
use pgprime_pooler::settings::Config;
use pgprime_views::{Declarations, Figures};

use super::options::Arguments;
use crate::config::{CacheSection, Configuration, DatabaseSection, HistorySection, servers};
use crate::history_file;

/// Connections for anything else than looking, which nothing here does so far.
const MAIN_CONNECTIONS: u32 = 2;
/// A database that does not answer is tried again after this.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Where the built-in pooler listens, as PgBouncer does.
const POOLER_PORT: &str = "6432";
/// A round that ended more intervals ago than these tells nothing any more.
const INTERVALS_MAX: u32 = 3;

/// Who refreshes the declared views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// This process.
    Ours,
    /// Somebody else.
    Others,
}

/// What is to run.
pub(crate) struct Parts {
    pub(super) url: String,
    pub(super) pooler: Option<Config>,
    pub(super) workers: Option<usize>,
    pub(super) pgbouncer_url: Option<String>,
    /// Which pooler answers there.
    pub(super) console_of: PoolerKind,
    pub(super) api: ApiConfig,
    pub(super) health: Settings,
    pub(super) alerts: AlertSettings,
    pub(super) declarations: Declarations,
    pub(super) figures: Figures,
    pub(super) schedule: Schedule,
    pub(super) redis_url: Option<String>,
    pub(super) history: HistorySection,
    pub(super) cache: CacheSection,
    pub(super) limits: DatabaseSection,
    /// The folder of all histories.
    pub(super) state: PathBuf,
}

impl Parts {
    pub(super) fn read(arguments: &Arguments) -> anyhow::Result<Self> {
        let configuration = Configuration::load(arguments.config.as_deref())?;
        let file = &configuration.file;
        let url =
            arguments.database_url.clone().filter(|url| !url.trim().is_empty()).or(file.database.url.clone());
        let url = url.context(
            "which database? Set DATABASE_URL, or [database] url in config/pgprime.toml, such as \
             postgresql://app:password@127.0.0.1:5432/insurance",
        )?;
        DatabaseConfig::new(&url).validate().context("DATABASE_URL is not the address of a database")?;
        let pgbouncer_url = file.pgbouncer.as_ref().map(|section| section.url.clone());
        if let Some(console) = &pgbouncer_url {
            DatabaseConfig::new(console)
                .validate()
                .context("[pgbouncer] url is not the address of a console")?;
        }
        let is_wanted = file.pooler.enabled.unwrap_or(pgbouncer_url.is_none()) && !arguments.no_pooler;
        let origin = configuration.path.clone().unwrap_or_else(|| PathBuf::from("DATABASE_URL"));
        let pooler = is_wanted.then(|| pooler(&configuration, &origin, &url, arguments)).transpose();
        let pooler = pooler.map_err(|error| configuration.placed(&["pooler"], error))?;
        let text = &configuration.text;
        let mut api =
            ApiConfig::from_table(file.api.clone()).map_err(|error| configuration.placed(&["api"], error))?;
        let tls = api.tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        for path in tls.chain(api.audit_file.iter_mut()) {
            // Beside the file, as all paths in it; an absolute one stays.
            *path = configuration.folder().join(&*path);
        }
        if let Some(listen) = arguments.listen {
            api.listen = listen;
            api.check()?;
        }
        let servers = pooler.as_ref().map(servers);
        Ok(Self {
            pooler,
            workers: file.pooler.workers,
            pgbouncer_url,
            console_of: PoolerKind::Pgbouncer,
            api,
            health: Settings::from_toml(text).map_err(|error| configuration.placed(&["health"], error))?,
            alerts: AlertSettings::from_toml_in(text, configuration.folder())
                .map_err(|error| configuration.placed(&["alerts"], error))?,
            declarations: read_views(&configuration)
                .map_err(|error| configuration.placed(&["views", "view_policy"], error))?
                .behind(servers),
            figures: read_figures(&configuration)
                .map_err(|error| configuration.placed(&["figures"], error))?,
            schedule: Schedule::Ours,
            state: state_folder(arguments, &configuration)?,
            redis_url: std::env::var("REDIS_URL").ok().filter(|url| !url.is_empty()),
            history: file.history.clone(),
            cache: file.cache.clone(),
            limits: file.database.clone(),
            url,
        })
    }

    /// What only watches: a database and the pooler in front of it, which somebody else has started.
    pub(crate) fn watching(
        url: &str,
        pooler_url: &str,
        config: &Path,
        state: &Path,
        listen: SocketAddr,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            url: url.to_owned(),
            pooler: None,
            workers: None,
            pgbouncer_url: Some(pooler_url.to_owned()),
            console_of: PoolerKind::Pgprime,
            api: ApiConfig { listen, ..ApiConfig::default() },
            health: Settings::default(),
            alerts: AlertSettings::default(),
            declarations: Declarations::read(config)?,
            figures: Figures::read(config)?,
            schedule: Schedule::Others,
            redis_url: None,
            history: HistorySection::default(),
            cache: CacheSection::default(),
            limits: DatabaseSection::default(),
            state: state.to_owned(),
        })
    }

    /// The pools of this process, for looking at the database.
    pub(super) fn database(&self) -> DatabaseConfig {
        let mut config = DatabaseConfig::new(&self.url);
        // By this name the dashboard knows its own sessions.
        config.application_name = Some("pgprime".to_owned());
        config.pool_min = Some(0);
        config.pool_max = Some(MAIN_CONNECTIONS);
        config.admin.size = Some(self.limits.connections_max);
        config.admin.statement_timeout = self.limits.statement_timeout;
        config
    }

    /// How old the last round may be: a round may take longer than the interval.
    pub(super) fn stale_after(&self) -> Duration {
        INTERVALS_MAX * self.health.interval.max(self.health.timeout)
    }

    /// Further ones, for the dashboard's figures, with a cache.
    pub(super) fn cached_database(&self) -> DatabaseConfig {
        let mut cache = ResultCacheConfig::default();
        cache.cache.memory_bytes_max = self.cache.memory_bytes_max();
        cache.cache.redis = self.redis_url.clone().map(RedisConfig::new);
        cache.listen_url = self.cache.listen.then(|| self.url.clone());
        let mut config = self.database();
        config.redis_url = self.redis_url.clone();
        config.cache = Some(cache);
        config
    }
}

fn pooler(
    configuration: &Configuration,
    origin: &Path,
    url: &str,
    arguments: &Arguments,
) -> anyhow::Result<Config> {
    let mut config = configuration.file.pooler.config(origin, Some(url))?;
    if let Some(port) = arguments.pooler_port {
        config.settings.set("listen_port", &port.to_string())?;
    } else if config.settings.listen_port == 0 {
        config.settings.set("listen_port", POOLER_PORT)?;
    }
    Ok(config)
}

fn read_views(configuration: &Configuration) -> anyhow::Result<Declarations> {
    match &configuration.path {
        Some(path) => Ok(Declarations::read(path)?),
        None => Ok(Declarations::default()),
    }
}

fn read_figures(configuration: &Configuration) -> anyhow::Result<Figures> {
    match &configuration.path {
        Some(path) => Ok(Figures::read(path)?),
        None => Ok(Figures::default()),
    }
}

fn state_folder(arguments: &Arguments, configuration: &Configuration) -> anyhow::Result<PathBuf> {
    let Some(folder) = arguments.state.clone().or_else(|| history_file::folder(configuration)) else {
        bail!("there is no home folder for histories: name one with --state or [history] directory");
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}
