//! What an admin dashboard shows of a database, in one document: the admin pool, views, cache and figures.
//!
//! What cannot be had is said and does not keep the rest: each section has its own limit of time.

mod cached;
mod figure;
mod row;
mod under_way;

use std::time::Duration;

use jiff::Timestamp;
use pgprime_client::{AdminConfig, Database, HeldCounts, PoolReport, QueryCounts, SlowStatement};
use serde::Serialize;

use crate::declaration::Declarations;
use crate::figures::Figures;
use crate::pressure::PoolerWait;
use crate::status::{self, Status};

pub use cached::{CacheMetrics, CachedQuery};
pub use figure::Figure;
pub use row::FigureRow;
pub use under_way::FiguresUnderWay;

/// What is looked at, and how long it may take.
#[derive(Clone, Debug)]
pub struct MetricsOptions {
    /// The views.
    pub declarations: Declarations,
    /// The figures.
    pub figures: Figures,
    /// How long clients of the pooler wait, where that is known: it may hold refreshes back.
    pub waiting: Option<PoolerWait>,
    /// What takes longer is left out, and said to be missing. Default 3 s: people reload what takes longer.
    pub timeout: Duration,
    /// Figures that take longer go on in here. Whoever looks again and again keeps it, so that none is begun twice.
    pub under_way: FiguresUnderWay,
}

impl Default for MetricsOptions {
    fn default() -> Self {
        Self {
            declarations: Declarations::default(),
            figures: Figures::default(),
            waiting: None,
            timeout: Duration::from_secs(3),
            under_way: FiguresUnderWay::default(),
        }
    }
}

/// All that an admin dashboard shows, at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct AdminMetrics {
    /// The moment, by this machine's clock.
    pub taken_at: Timestamp,
    /// The admin pool of this process.
    pub admin: AdminPool,
    /// At most ten statements of the admin pool that took the most time in all, those with the most first.
    pub slowest: Vec<SlowStatement>,
    /// The views; `null` where none is declared, or `missing` says why.
    pub views: Option<Status>,
    /// The cache of results; `null` where there is none.
    pub cache: Option<CacheMetrics>,
    /// The figures, in the order in which they are declared.
    pub figures: Vec<Figure>,
    /// What could not be had.
    pub missing: Vec<MissingSection>,
}

/// The admin pool: what it does, and how much of the database it may use.
#[derive(Clone, Debug, Serialize)]
pub struct AdminPool {
    /// Its connections.
    pub pool: Option<PoolReport>,
    /// What its statements came to.
    pub queries: QueryCounts,
    /// Statements held back while the service waited; `null` where they are not.
    pub held: Option<HeldCounts>,
    /// Its limits.
    pub limits: AdminLimits,
}

/// How much of the database admin statements may use. A time of 0 is no limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdminLimits {
    /// Connections, and so statements at a time, of this process.
    pub connections_max: u32,
    /// For each sort, as PostgreSQL writes it.
    pub work_mem: String,
    /// How many times `work_mem` a hash table may take.
    pub hash_mem_multiplier: f64,
    /// What temporary files may take of the disk at a time, as PostgreSQL writes it; `null` where that is left to the server.
    pub temp_file_limit: Option<String>,
    /// Processes beside its own that a statement may have.
    pub parallel_workers_max: u32,
    /// How long a statement may take.
    pub statement_timeout_ms: u64,
    /// How long it may wait for a lock.
    pub lock_timeout_ms: u64,
    /// How long a transaction may do nothing.
    pub idle_in_transaction_timeout_ms: u64,
    /// How long a transaction may take, on version 17 or newer.
    pub transaction_timeout_ms: u64,
    /// How often the server looks whether this process is still there, on version 14 or newer and without a pooler.
    pub client_check_interval_ms: u64,
    /// Whether none is begun while requests of the service wait.
    pub yield_to_service: bool,
}

/// A section that could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingSection {
    /// Which: `views`, or the name of a figure.
    pub what: String,
    /// Why not.
    pub why: String,
}

impl AdminMetrics {
    /// Looks at everything, through the admin pool and the cache of this database. It takes little more than the limit of
    /// time even where the database does not answer, and changes nothing.
    ///
    /// A figure that takes longer goes on by itself as long as `under_way` is kept, so that a later look finds it in the
    /// cache; those that would take the last connection of the admin pool are broken off.
    pub async fn read(database: &Database, options: &MetricsOptions) -> Self {
        let (views, figures) = tokio::join!(
            views(database, options),
            figure::all(database, options.figures.figures(), options.timeout, &options.under_way),
        );
        let failed = figures.iter().filter_map(|figure| Some((&figure.name, figure.error.as_ref()?)));
        let failed = failed.map(|(what, why)| MissingSection { what: what.clone(), why: why.clone() });
        let mut missing: Vec<MissingSection> = failed.collect();
        let views = views.unwrap_or_else(|why| {
            missing.insert(0, MissingSection { what: "views".to_owned(), why });
            None
        });
        // Last, so that what was looked at is in it.
        let report = database.report();
        let pgprime_client::RoleReport { pool, queries, held, slowest } = report.admin;
        let limits = AdminLimits::new(database.admin_config(), database.sizes().admin.max);
        Self {
            taken_at: Timestamp::now(),
            admin: AdminPool { pool, queries, held, limits },
            slowest,
            views,
            cache: report.cache.map(CacheMetrics::new),
            figures,
            missing,
        }
    }

    /// Whether nothing needs a person: nothing is missing, and no view is gone or failing.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.missing.is_empty() && self.views.as_ref().is_none_or(Status::is_well)
    }
}

impl AdminLimits {
    fn new(config: &AdminConfig, connections_max: u32) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            connections_max,
            work_mem: config.work_mem.clone(),
            hash_mem_multiplier: config.hash_mem_multiplier,
            temp_file_limit: config.temp_file_limit.clone(),
            parallel_workers_max: config.parallel_workers_max,
            statement_timeout_ms: ms(config.statement_timeout),
            lock_timeout_ms: ms(config.lock_timeout),
            idle_in_transaction_timeout_ms: ms(config.idle_in_transaction_timeout),
            transaction_timeout_ms: ms(config.transaction_timeout),
            client_check_interval_ms: ms(config.client_check_interval),
            yield_to_service: config.yield_to_service,
        }
    }
}

/// The views, if any are declared; or why they cannot be seen.
async fn views(database: &Database, options: &MetricsOptions) -> Result<Option<Status>, String> {
    if options.declarations.views().is_empty() {
        return Ok(None);
    }
    let looked = tokio::time::timeout(options.timeout, async {
        let access = database.admin().with_wait(options.timeout);
        let connection = access.acquire().await.map_err(|error| error.to_string())?;
        // It only reads.
        let client = connection.client_local();
        let (declared, waiting) = (&options.declarations, options.waiting.clone());
        let status = status::status_behind(client, declared, declared.policy(), waiting);
        status.await.map_err(|error| error.summary())
    });
    match looked.await {
        Ok(status) => status.map(Some),
        Err(_) => Err(format!("the database did not answer within {} ms", options.timeout.as_millis())),
    }
}
