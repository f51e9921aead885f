//! One look: connect, observe, judge, within a limit on the whole.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pgprime_client::{Database, PooledConnection};
use tokio_postgres::Client;

use super::down::Down;
use super::observe::{Memory, Observation, Place, observe};
use super::report::HealthReport;
use super::rules::{Evidence, gravest, judge};
use super::settings::Settings;
use pgprime_readonly::Missing;

/// How long a look waits for a connection of a pool before it opens one of its own.
const POOL_WAIT: Duration = Duration::from_secs(1);

/// A connection for one look, and where it leads.
pub struct Connected {
    /// It ends, or goes back, when this is dropped.
    pub connection: Box<dyn Lent>,
    /// Where the server is.
    pub place: Place,
}

/// A connection that somebody has lent.
pub trait Lent: Send + Sync {
    /// The driver's client, for transactions that change nothing but what ends with them.
    fn client(&self) -> &Client;
}

impl Lent for Client {
    fn client(&self) -> &Client {
        self
    }
}

impl Lent for PooledConnection {
    fn client(&self) -> &Client {
        (**self).client_local()
    }
}

/// What a future of [`Connect`] is.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Connected, Down>> + Send + 'a>>;

/// Gives connections to the database that is looked at.
pub trait Connect: Send + Sync {
    /// A connection that is in no transaction. The look's own limit bounds it.
    fn connect(&self) -> Connecting<'_>;
}

/// A connection of its own for each look.
#[derive(Clone)]
pub struct Direct {
    url: String,
    timeout: Duration,
}

impl Direct {
    /// To this URL, given up after `timeout`.
    #[must_use]
    pub fn new(url: impl Into<String>, timeout: Duration) -> Self {
        Self { url: url.into(), timeout }
    }
}

impl Connect for Direct {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async {
            let opened = pgprime_client::connect(&self.url, self.timeout).await;
            let opened = opened.map_err(|error| Down::of_connect(&error))?;
            let place = Place::of_host(&opened.host);
            Ok(Connected { connection: Box::new(opened.client), place })
        })
    }
}

/// A connection of the admin pool; one of its own while that pool has none to give.
#[derive(Clone)]
pub struct Pooled {
    database: Database,
    direct: Option<Direct>,
    place: Place,
}

impl Pooled {
    /// Of this database's admin pool. `place` is where its server is.
    #[must_use]
    pub fn new(database: Database, place: Place) -> Self {
        Self { database, direct: None, place }
    }

    /// With a way around the pool: a look must not wait behind the reports that it is to tell of.
    #[must_use]
    pub fn or_directly(self, direct: Direct) -> Self {
        Self { direct: Some(direct), ..self }
    }
}

impl Connect for Pooled {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async {
            let leased = self.database.admin().with_wait(POOL_WAIT).acquire().await;
            match (leased, &self.direct) {
                (Ok(connection), _) => Ok(Connected { connection: Box::new(connection), place: self.place }),
                // What keeps a pool from opening connections is seen again, or found to be over.
                (Err(_), Some(direct)) => direct.connect().await,
                (Err(error), None) => Err(Down::of_pool(&error)),
            }
        })
    }
}

/// What a look has seen.
#[derive(Clone, Debug)]
pub struct Looked {
    /// When it began, by this machine's clock.
    pub taken_at: Timestamp,
    /// How long it took, connecting included.
    pub took: Duration,
    /// What was seen, or why the database gave no answer.
    pub observed: Result<Arc<Observation>, Down>,
}

/// Looks at a database again and again.
pub struct Look {
    connect: Arc<dyn Connect>,
    earlier: Option<Arc<Observation>>,
    recalled: Option<Memory>,
}

impl Look {
    /// Over connections of this source.
    #[must_use]
    pub fn new(connect: Arc<dyn Connect>) -> Self {
        Self { connect, earlier: None, recalled: None }
    }

    /// Goes on with what an earlier process had in mind.
    #[must_use]
    pub fn recalling(self, memory: Option<Memory>) -> Self {
        Self { recalled: memory, ..self }
    }

    /// The last look that saw anything, before the one that [`Look::take`] has given.
    #[must_use]
    pub fn earlier(&self) -> Option<&Arc<Observation>> {
        self.earlier.as_ref()
    }

    /// Looks once. It ends within [`Settings::timeout`], whatever the database does.
    pub async fn take(&self, settings: &Settings) -> Looked {
        let (taken_at, begun) = (Timestamp::now(), Instant::now());
        let look = async {
            let connected = self.connect.connect().await?;
            let client = connected.connection.client();
            let memory = match &self.earlier {
                Some(earlier) => earlier.memory(),
                None => self.recalled.clone(),
            };
            let earlier = self.earlier.as_deref();
            observe(client, earlier, memory.as_ref(), settings, connected.place).await.map(Arc::new)
        };
        let observed = match tokio::time::timeout(settings.timeout, look).await {
            Ok(observed) => observed,
            Err(_) => Err(Down::silent(settings.timeout)),
        };
        Looked { taken_at, took: begun.elapsed(), observed }
    }

    /// What the next look compares with. What was seen before an outage serves as well: the server's start tells whether
    /// its counters go on.
    pub fn remember(&mut self, looked: &Looked) {
        if let Ok(observed) = &looked.observed {
            self.earlier = Some(Arc::clone(observed));
        }
    }
}

impl Looked {
    /// The evidence of this look alone, for others to add to.
    #[must_use]
    pub fn evidence<'a>(&'a self, earlier: Option<&'a Observation>) -> Evidence<'a> {
        Evidence::of(self.observed.as_deref(), earlier)
    }

    /// The report of this look and whatever else is known.
    #[must_use]
    pub fn report(&self, evidence: &Evidence<'_>, settings: &Settings) -> HealthReport {
        let checks = judge(evidence, settings);
        let observed = self.observed.as_deref().ok();
        let mut missing: Vec<Missing> = observed.map(Observation::missing).unwrap_or_default();
        missing.extend(evidence.missing.iter().cloned());
        HealthReport {
            taken_at: self.taken_at,
            status: gravest(&checks),
            server_version: observed.map(|observed| observed.server.version.clone()),
            in_recovery: observed.map(|observed| observed.server.in_recovery),
            took_ms: self.took.as_secs_f64() * 1_000.0,
            checks,
            missing,
        }
    }
}
