//! The connection to the database that is asked.

use std::time::Duration;

use anyhow::Context as _;
use pgprime_client::{Connected, DatabaseConfig};

/// A database that does not answer is given up after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The database could not be reached, does not let us in, or was lost meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach the database: {0}")]
pub(super) struct Unreachable(pub(super) String);

/// Connects to the database. The one place that knows how.
pub(super) async fn connect(url: &str) -> anyhow::Result<Connected> {
    DatabaseConfig::new(url).validate().context("--database-url is not the address of a database")?;
    pgprime_client::connect(url, CONNECT_TIMEOUT).await.map_err(|error| Unreachable(error.to_string()).into())
}

/// Host and port, for a person.
pub(super) fn address(connected: &Connected) -> String {
    format!("{}:{}", connected.host, connected.port)
}
