//! The database's pools, opened when it can be reached: the interface runs before that, and says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgprime_client::{Database, DatabaseConfig};
use tokio::sync::{Mutex, OnceCell};

use crate::problem::Problem;

/// A database that could not be reached is not asked again for as long.
const PAUSE: Duration = Duration::from_secs(2);
/// For the first connection.
const TRY_MAX: Duration = Duration::from_secs(3);

/// A database that is connected to when somebody asks for it first. Clones are the same.
#[derive(Clone)]
pub struct LazyDatabase {
    inner: Arc<Inner>,
}

struct Inner {
    config: DatabaseConfig,
    database: OnceCell<Database>,
    /// The last failure, and when.
    failed: Mutex<Option<(Instant, String)>>,
}

impl LazyDatabase {
    /// Of this configuration.
    #[must_use]
    pub fn new(config: DatabaseConfig) -> Self {
        let inner = Inner { config, database: OnceCell::new(), failed: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// One that is connected already.
    #[must_use]
    pub fn of(database: Database, config: DatabaseConfig) -> Self {
        let inner = Inner { config, database: OnceCell::new_with(Some(database)), failed: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The name of the database, as its URL has it.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let config: tokio_postgres::Config = self.inner.config.url.parse().ok()?;
        config.get_dbname().or(config.get_user()).map(str::to_owned)
    }

    /// The database, if it has been reached by now.
    #[must_use]
    pub fn connected(&self) -> Option<Database> {
        self.inner.database.get().cloned()
    }

    /// The database; connects if need be, one caller for all.
    ///
    /// # Errors
    /// Why it cannot be reached, in words.
    pub async fn get(&self) -> Result<Database, String> {
        let Inner { config, database, failed } = &*self.inner;
        if let Some(database) = database.get() {
            return Ok(database.clone());
        }
        let mut failed = failed.lock().await;
        if let Some(database) = database.get() {
            return Ok(database.clone());
        }
        if let Some((at, why)) = &*failed
            && at.elapsed() < PAUSE
        {
            return Err(why.clone());
        }
        match Box::pin(opened(config)).await {
            Ok(connected) => Ok(database.get_or_init(|| async { connected }).await.clone()),
            Err(why) => {
                *failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    pub(crate) async fn or_problem(&self) -> Result<Database, Problem> {
        self.get().await.map_err(|why| Problem::unavailable(format!("cannot reach the database: {why}")))
    }
}

/// Pools wait for a database to come; here somebody waits for the pools, so one connection tells first.
async fn opened(config: &DatabaseConfig) -> Result<Database, String> {
    let tried = pgprime_client::connect(&config.url, TRY_MAX).await;
    drop(tried.map_err(|error| error.to_string())?);
    Database::connect(config.clone()).await.map_err(|error| error.to_string())
}

impl std::fmt::Debug for LazyDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyDatabase")
            .field("is_connected", &self.connected().is_some())
            .finish_non_exhaustive()
    }
}
