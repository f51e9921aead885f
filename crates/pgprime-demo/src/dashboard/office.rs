//! Where the dashboard's work is done: a runtime of its own, the views, the database through pgprime-client.

use std::path::{Path, PathBuf};

use anyhow::Context;
use pgprime_client::cache::{Cache, CacheConfig, RedisConfig};
use pgprime_client::{Access, Database, DatabaseConfig, ResultCacheConfig};
use pgprime_views::Declarations;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::compare::{Asked, Timed, compare, time};
use super::keeper::Keeper;
use super::report::{AdminPool, ComparedQuery, ViewsReport};
use super::views;
use crate::private_server::{PrivateServer, SERVER_CONNECTIONS_MAX};

/// However many connections the pooler has, a few are left for the dashboard.
const LEFT_MIN: u32 = 10;
/// What the sessions of the admin pool may do, as they say themselves.
const LIMITS: &str = "SELECT current_setting('work_mem'), current_setting('statement_timeout'), \
                      current_setting('lock_timeout'), current_setting('max_parallel_workers_per_gather')";

/// The same for all demos, so that nothing is left behind in Redis for each.
const REDIS_NAMESPACE: &str = "pgprime-demo";

/// The pools of the dashboard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolsWanted {
    /// Server connections that are the pooler's.
    pub(crate) pooler_connections: u32,
    /// Connections of the admin pool.
    pub(crate) admin: u32,
}

/// The dashboard's views, and what its work runs on.
#[derive(Debug)]
pub(crate) struct Office {
    url: String,
    store: CacheConfig,
    config: PathBuf,
    declared: Declarations,
    runtime: Runtime,
}

impl Office {
    /// Writes the configuration of the views; nothing is done in the database yet.
    pub(crate) fn new(server: &PrivateServer, redis_url: Option<&str>) -> anyhow::Result<Self> {
        let config = views::write_config(&server.folder("config")?)?;
        let declared = views::declared(&config)?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.context("starting the dashboard's work")?;
        let redis = redis_url
            .map(|url| RedisConfig { namespace: REDIS_NAMESPACE.to_owned(), ..RedisConfig::new(url) });
        let store = CacheConfig { redis, ..CacheConfig::default() };
        // What another demo has left is of another database. Without Redis there is nothing of it.
        let cache = runtime.block_on(Cache::connect(store.clone())).context("REDIS_URL")?;
        let _reach = runtime.block_on(cache.invalidate_all());
        Ok(Self { url: server.application_url(), store, config, declared, runtime })
    }

    /// The configuration that declares the views.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// Makes the views.
    pub(crate) fn make_views(&self) -> anyhow::Result<ViewsReport> {
        self.runtime.block_on(views::make(&self.url, &self.declared))
    }

    /// Begins to keep them fresh.
    pub(crate) fn keep_views(&self) -> Keeper {
        Keeper::start(self.runtime.handle(), self.url.clone(), self.declared.clone())
    }

    /// Opens the pools; the main one is of the size that is calculated from what the pooler leaves of the server's
    /// connections.
    pub(crate) fn open(&self, wanted: PoolsWanted) -> anyhow::Result<Desk<'_>> {
        let mut config = DatabaseConfig::new(&self.url);
        let left = SERVER_CONNECTIONS_MAX.saturating_sub(wanted.pooler_connections);
        config.max_connections = Some(left.max(LEFT_MIN));
        config.admin.size = Some(wanted.admin);
        config.cache = Some(ResultCacheConfig { cache: self.store.clone(), ..ResultCacheConfig::default() });
        let database = self.runtime.block_on(Database::connect(config)).context("opening the admin pool")?;
        Ok(Desk { office: self, database })
    }
}

/// The dashboard with its pools open.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    office: &'a Office,
    database: Database,
}

impl Desk<'_> {
    /// The admin pool, and what its sessions may do.
    pub(crate) fn admin_pool(&self) -> anyhow::Result<AdminPool> {
        let admin = self.admin();
        let row = self.runtime().block_on(admin.query_one(LIMITS, &[])).context("asking the admin pool")?;
        Ok(AdminPool {
            connections_max: self.admin_connections(),
            work_mem: row.get(0),
            statement_timeout: row.get(1),
            lock_timeout: row.get(2),
            parallel_workers: row.get(3),
        })
    }

    /// Begins to ask the dashboard's queries in every way.
    pub(super) fn ask(&self) -> JoinHandle<anyhow::Result<Vec<Timed>>> {
        let database = self.database.clone();
        self.runtime().spawn(async move { time(&database).await })
    }

    /// Brings the views up to date and compares the answers of the dashboard's queries, at a moment in which nobody writes.
    pub(crate) fn compare(&self, asked: Asked) -> anyhow::Result<Vec<ComparedQuery>> {
        self.runtime().block_on(async {
            let Office { url, declared, .. } = self.office;
            views::refresh_all(url, declared, &self.database).await?;
            compare(&self.database, asked.timed).await.context("asking the dashboard's queries")
        })
    }

    /// Where results are kept.
    pub(crate) fn cache_name(&self) -> &'static str {
        if self.office.store.redis.is_some() { "memory and Redis" } else { "memory" }
    }

    /// Most queries the admin pool runs at a time.
    pub(super) fn admin_connections(&self) -> u32 {
        self.database.sizes().admin.max
    }

    pub(super) fn admin(&self) -> Access {
        self.database.admin()
    }

    pub(super) fn runtime(&self) -> &Handle {
        self.office.runtime.handle()
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        self.runtime().block_on(self.database.close());
    }
}
