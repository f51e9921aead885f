//! The database as an application sees it: three roles, their sizes, one report.

#[cfg(feature = "cache")]
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use pgprime_pool::Limit;
use serde::Serialize;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
#[cfg(feature = "cache")]
use tokio_postgres::types::ToSql;

use crate::access::Access;
#[cfg(feature = "cache")]
use crate::cached::Cached;
use crate::config::{AdminConfig, DatabaseConfig, LiveLimits, PoolSize, Sizes};
use crate::connect;
use crate::connection::{Announcer, Common};
#[cfg(feature = "cache")]
use crate::connection::{StatementRef, WriteReport};
use crate::connector::Connector;
use crate::consistency::{Freshness, Session};
use crate::counters::{Meter, QueryCounts};
use crate::endpoint::Endpoint;
use crate::error::Error;
#[cfg(feature = "cache")]
use crate::outside::{self, Listener};
use crate::pool::{Pool, PoolOptions, PoolReport};
use crate::replica::{Replica, ReplicaReport};
#[cfg(feature = "cache")]
use crate::results::{ResultCacheReport, Results};
use crate::roles::Roles;
use crate::session::Role;
use crate::slowest::SlowStatement;
use crate::tls::Tls;
use crate::yielding::{Gate, HeldCounts};

/// How often the replica's lag is looked at: often enough to notice it well before the default limit of 5 s.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long reads wait for a replica that is out of reach: there is the main database to read from.
const READ_BREAKER: Duration = Duration::from_millis(250);

/// How long a start waits for the replica's connections.
const REPLICA_START_MAX: Duration = Duration::from_secs(2);

/// What the database itself says of its limits.
const LIMITS: &str = "SELECT /* pgprime */ name, setting::bigint FROM pg_catalog.pg_settings WHERE name IN \
                      ('max_connections', 'superuser_reserved_connections', 'reserved_connections')";

/// A database with its pools: main, read and admin. Clones are the same.
///
/// When the last clone is dropped, its pools are closed.
#[derive(Clone, Debug)]
pub struct Database {
    owner: Arc<Owner>,
}

/// Ends the watch over the replica with the last clone.
#[derive(Debug)]
struct Owner {
    roles: Arc<Roles>,
    #[cfg(feature = "cache")]
    results: Option<Arc<Results>>,
    #[cfg(feature = "cache")]
    announcer: Announcer,
    /// Ends with this value.
    #[cfg(feature = "cache")]
    _listener: Option<Listener>,
    sizes: Sizes,
    admin: AdminConfig,
    watch: Option<AbortHandle>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// A database with its pools at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct DatabaseReport {
    /// The service's own pool.
    pub main: RoleReport,
    /// Reads: the replica's pool, or no pool where reads use the main one.
    pub read: RoleReport,
    /// Long analytical queries.
    pub admin: RoleReport,
    /// Whether reads go to the replica, and why not; `null` without one.
    pub replica: Option<ReplicaReport>,
    /// The cached reads; `null` where no cache is configured.
    #[cfg(feature = "cache")]
    pub cache: Option<ResultCacheReport>,
    /// What writers said to the cache; `null` where none is configured.
    #[cfg(feature = "cache")]
    pub writes: Option<WriteReport>,
}

/// One role at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct RoleReport {
    /// Its pool, if it has one of its own.
    pub pool: Option<PoolReport>,
    /// What its statements came to.
    pub queries: QueryCounts,
    /// Statements held back for the service's sake; `null` for roles that nothing holds back.
    pub held: Option<HeldCounts>,
    /// At most ten statements that took the most time in all, of a hundred that are remembered: all of the admin role,
    /// of the others those that were slow. Not those whose rows were streamed.
    pub slowest: Vec<SlowStatement>,
}

impl Database {
    /// Opens the pools and warms them up: when this returns, the first request finds its connection open.
    ///
    /// A replica that cannot be reached is no error: reads go to the main database until it can be.
    ///
    /// # Errors
    /// [`Error::Usage`] for a configuration that cannot be used, [`Error::Down`] when the main database cannot be reached.
    pub async fn connect(config: DatabaseConfig) -> Result<Self, Error> {
        config.validate()?;
        let sizes = size_up(&config).await?;
        for note in &sizes.notes {
            tracing::info!("{note}");
        }
        #[cfg(feature = "cache")]
        let results = Results::open(&config).await?;
        #[cfg(feature = "cache")]
        let listener = match &results {
            Some(results) => outside::listen(&config, results).await?,
            None => None,
        };
        #[cfg(feature = "cache")]
        let announcer = results.clone().map(Announcer::new).unwrap_or_default();
        #[cfg(not(feature = "cache"))]
        let announcer = Announcer::default();
        // One budget for both, so that a configured admin pool never adds to what was calculated.
        let budget = Limit::new(sizes.main.max.saturating_add(sizes.admin.max));
        let main =
            start(&config, Role::Main, config.endpoint()?, sizes.main, Arc::clone(&budget), &announcer);
        let admin = start(&config, Role::Admin, config.endpoint()?, sizes.admin, budget, &announcer);
        let read = match (config.read_endpoint()?, sizes.read) {
            (Some(endpoint), Some(size)) => {
                Some(start(&config, Role::Read, endpoint, size, Limit::new(0), &announcer))
            }
            _ => None,
        };
        let (is_warm, ()) = tokio::join!(main.warm_up(), warm_up_replica(read.as_ref()));
        is_warm?;
        admin.warm_up().await?;
        let replica = read.map(|pool| Arc::new(Replica::new(pool, config.replica_lag_max)));
        let meter = |role, limit| Arc::new(Meter::new(role, config.slow_query, limit));
        let roles = Arc::new(Roles {
            main,
            admin,
            replica,
            retry: config.retry,
            gate: config.admin.yield_to_service.then(Gate::default),
            meters: [
                meter(Role::Main, config.statement_timeout),
                meter(Role::Read, config.statement_timeout),
                meter(Role::Admin, config.admin.statement_timeout),
            ],
        });
        let watch = match &roles.replica {
            Some(replica) => {
                replica.look(&roles.main).await;
                Some(watch_replica(&roles))
            }
            None => None,
        };
        Ok(Self {
            owner: Arc::new(Owner {
                roles,
                #[cfg(feature = "cache")]
                results,
                #[cfg(feature = "cache")]
                announcer,
                #[cfg(feature = "cache")]
                _listener: listener,
                sizes,
                admin: config.admin,
                watch,
            }),
        })
    }

    /// The service's own statements, and all writes.
    pub fn main(&self) -> Access {
        self.access(Role::Main)
    }

    /// Statements that only read: on the replica, or on the main database where there is none, it lags too far, or cannot be
    /// reached. Writes are refused either way.
    pub fn read(&self) -> Access {
        self.access(Role::Read)
    }

    /// Long analytical statements, with connections, memory and time of their own.
    pub fn admin(&self) -> Access {
        self.access(Role::Admin)
    }

    /// One user's work: its reads see its writes although they may run on the replica.
    pub fn session(&self, freshness: Freshness) -> Session {
        Session::new(self.main(), self.read(), freshness)
    }

    /// The sizes that were calculated or given.
    pub fn sizes(&self) -> &Sizes {
        &self.owner.sizes
    }

    /// How much of the database the admin pool may use.
    pub fn admin_config(&self) -> &AdminConfig {
        &self.owner.admin
    }

    /// All pools at this moment.
    pub fn report(&self) -> DatabaseReport {
        let roles = &self.owner.roles;
        let role = |role, pool: Option<&Pool<Connector>>| RoleReport {
            pool: pool.map(Pool::report),
            queries: roles.meter(role).report(),
            held: roles.gate.as_ref().filter(|_| role == Role::Admin).map(Gate::report),
            slowest: roles.meter(role).slowest(),
        };
        let replica = roles.replica.as_deref();
        DatabaseReport {
            main: role(Role::Main, Some(&roles.main)),
            read: role(Role::Read, replica.map(|replica| &replica.pool)),
            admin: role(Role::Admin, Some(&roles.admin)),
            replica: replica.map(Replica::report),
            #[cfg(feature = "cache")]
            cache: self.owner.results.as_deref().map(Results::report),
            #[cfg(feature = "cache")]
            writes: self.owner.results.as_ref().map(|_| self.owner.announcer.report()),
        }
    }

    /// Hands out nothing more and closes all connections, those in use when they come back.
    pub async fn close(&self) {
        if let Some(watch) = &self.owner.watch {
            watch.abort();
        }
        let roles = &self.owner.roles;
        let replica = async {
            if let Some(replica) = &roles.replica {
                replica.pool.close().await;
            }
        };
        tokio::join!(roles.main.close(), roles.admin.close(), replica);
    }

    fn access(&self, role: Role) -> Access {
        Access::new(Arc::clone(&self.owner.roles), role)
    }
}

#[cfg(feature = "cache")]
impl Database {
    /// A read that is served from the cache where it can be: see [`Cached`] for what can be said of it.
    ///
    /// The tables it depends on are found by themselves, behind views and functions, too; a write to one of them through
    /// this library ends what was kept, and nobody is served what is older than a commit that has returned.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use pgprime_client::{Database, Error, Role};
    /// # async fn example(database: Database, product: i64) -> Result<(), Error> {
    /// let rows = database
    ///     .cached("SELECT day, quotes FROM daily_quotes WHERE product = $1 ORDER BY day", &[&product])
    ///     .on(Role::Admin)
    ///     .ttl(Duration::from_secs(300))
    ///     .fetch()
    ///     .await?;
    /// for row in rows.iter() {
    ///     println!("{}: {}", row.get::<_, String>("day"), row.get::<_, i64>("quotes"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn cached<'a>(
        &'a self,
        statement: impl Into<StatementRef<'a>>,
        parameters: &'a [&'a (dyn ToSql + Sync)],
    ) -> Cached<'a> {
        let Owner { roles, results, .. } = &*self.owner;
        Cached::new(roles, results.as_ref(), statement.into(), parameters, Location::caller())
    }

    /// The store of cached reads, for what changes tables without this library: a view's refresh, a notification.
    pub fn cache(&self) -> Option<&pgprime_cache::Cache> {
        self.owner.results.as_deref().map(Results::cache)
    }
}

/// The sizes; the database is asked for its limits only when the configuration does not say them.
async fn size_up(config: &DatabaseConfig) -> Result<Sizes, Error> {
    if let Ok(sizes) = config.pool_sizes(None) {
        return Ok(sizes);
    }
    let live = match timeout(config.connect_timeout, live_limits(config)).await {
        Ok(live) => live?,
        Err(_) => {
            return Err(Error::Usage("the database did not say its max_connections in time".to_owned()));
        }
    };
    Ok(config.pool_sizes(Some(live))?)
}

async fn live_limits(config: &DatabaseConfig) -> Result<LiveLimits, Error> {
    let down = |cause| Error::Down { pool: Role::Main.name(), cause: Arc::new(cause) };
    let client = connect::connect(&config.url, config.connect_timeout).await.map_err(down)?.client;
    let mut limits = LiveLimits { max_connections: 0, reserved_connections: 0 };
    for message in client.simple_query(LIMITS).await? {
        let number = connect::cell(&message, 1).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        match connect::cell(&message, 0) {
            Some("max_connections") => limits.max_connections = number,
            Some(_) => limits.reserved_connections += number,
            None => {}
        }
    }
    Ok(limits)
}

fn start(
    config: &DatabaseConfig,
    role: Role,
    (endpoint, tls): (Endpoint, Tls),
    size: PoolSize,
    budget: Arc<Limit>,
    announcer: &Announcer,
) -> Pool<Connector> {
    let settings = config.session_settings(role);
    // The admin pool lives on statements of its own.
    let statements = if role == Role::Admin { Vec::new() } else { config.statements.clone() };
    let common = Common::new(endpoint, tls, role, settings, statements).announcing(announcer.clone());
    let options = PoolOptions {
        timeout: config.timeout,
        connect_timeout: config.connect_timeout,
        idle_timeout: config.idle_timeout,
        lifetime: config.lifetime,
        check_after_idle: config.check_after_idle,
        leak_after: if role == Role::Admin { config.admin.statement_timeout } else { config.leak_after },
        ..PoolOptions::sized(size.min, size.max)
    };
    let options = match role {
        Role::Read => PoolOptions { breaker: READ_BREAKER, ..options },
        Role::Main | Role::Admin => options,
    };
    Pool::start(role.name(), Connector::new(common, config.pooling, config.connect_timeout), options, budget)
}

/// An application starts without its replica, too.
async fn warm_up_replica(pool: Option<&Pool<Connector>>) {
    let Some(pool) = pool else { return };
    // The look at it that follows says why it is not used.
    if let Ok(Err(error)) = timeout(REPLICA_START_MAX, pool.warm_up()).await {
        tracing::debug!(%error, "warming up the replica's pool");
    }
}

fn watch_replica(roles: &Arc<Roles>) -> AbortHandle {
    let roles = Arc::downgrade(roles);
    let watch = async move {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(roles) = roles.upgrade() else { return };
            if let Some(replica) = &roles.replica {
                replica.look(&roles.main).await;
            }
        }
    };
    tokio::spawn(watch).abort_handle()
}
