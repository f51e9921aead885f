//! The database that a command asks.

use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use pgprime_client::{Connected, Database, DatabaseConfig, Error, ResultCacheConfig};

/// A database that does not answer is given up after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const URL_NEEDED: &str =
    "--database-url or DATABASE_URL is needed, such as postgresql://user:password@host:5432/database";

/// The database could not be reached, does not let us in, or was lost meanwhile: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreachable(String);

impl Unreachable {
    /// The connection was lost meanwhile.
    pub(crate) fn lost(connected: &Connected, error: &dyn std::error::Error) -> Self {
        Self::database(&format!("{}: {error}", address(connected)))
    }

    /// It is not a database.
    pub(crate) fn other(error: &dyn std::error::Error) -> Self {
        Self(error.to_string())
    }

    fn database(why: &str) -> Self {
        Self(format!("cannot reach the database: {why}"))
    }
}

/// The name of the database.
pub(crate) async fn name(connected: &Connected) -> anyhow::Result<String> {
    let row = connected.client.query_one("SELECT current_database()::text", &[]).await;
    Ok(row.map_err(|error| Unreachable::lost(connected, &error))?.get(0))
}

/// Connects to the database that the option or the variable names.
pub(crate) async fn connect(url: Option<&str>) -> anyhow::Result<Connected> {
    let url = url.context(URL_NEEDED)?;
    DatabaseConfig::new(url).validate().context("--database-url is not the address of a database")?;
    pgprime_client::connect(url, CONNECT_TIMEOUT)
        .await
        .map_err(|error| Unreachable::database(&error.to_string()).into())
}

/// Opens pools of few connections to the database that the option or the variable names, with a cache of results.
pub(crate) async fn pools(url: Option<&str>, redis_url: Option<&str>) -> anyhow::Result<Database> {
    let mut config = DatabaseConfig::new(url.context(URL_NEEDED)?);
    config.redis_url = redis_url.map(str::to_owned);
    (config.pool_min, config.pool_max, config.admin.size) = (Some(0), Some(1), Some(2));
    config.connect_timeout = CONNECT_TIMEOUT;
    config.timeout = CONNECT_TIMEOUT;
    config.cache = Some(ResultCacheConfig::default());
    config.validate().context("--database-url is not the address of a database")?;
    Database::connect(config).await.map_err(|error| match error {
        Error::Usage(_) => anyhow::Error::new(error),
        error => Unreachable::database(&error.to_string()).into(),
    })
}

/// Host and port, for a person.
pub(crate) fn address(connected: &Connected) -> String {
    format!("{}:{}", connected.host, connected.port)
}

/// Runs a command's questions to the database, one after another.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?.block_on(work)
}
