//! The database that a command asks.

use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use pgprime_client::{Connected, DatabaseConfig};

/// A database that does not answer is given up after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The database could not be reached, does not let us in, or was lost meanwhile: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach the database: {0}")]
pub(crate) struct Unreachable(String);

impl Unreachable {
    /// The connection was lost meanwhile.
    pub(crate) fn lost(connected: &Connected, error: &dyn std::error::Error) -> Self {
        Self(format!("{}: {error}", address(connected)))
    }
}

/// Connects to the database that the option or the variable names.
pub(crate) async fn connect(url: Option<&str>) -> anyhow::Result<Connected> {
    let url = url.context(
        "--database-url or DATABASE_URL is needed, such as postgresql://user:password@host:5432/database",
    )?;
    DatabaseConfig::new(url).validate().context("--database-url is not the address of a database")?;
    pgprime_client::connect(url, CONNECT_TIMEOUT).await.map_err(|error| Unreachable(error.to_string()).into())
}

/// Host and port, for a person.
pub(crate) fn address(connected: &Connected) -> String {
    format!("{}:{}", connected.host, connected.port)
}

/// Runs a command's questions to the database, one after another.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?.block_on(work)
}
