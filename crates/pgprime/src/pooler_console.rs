//! The console of a pooler that a command asks.

use anyhow::Context as _;
use pgprime_advisor::slow::{self, PoolerCapture, PoolerStatements};
use pgprime_client::Connected;

use crate::database;

/// What the pooler has measured of statements.
pub(crate) async fn statements(url: &str) -> anyhow::Result<PoolerStatements> {
    Ok(slow::pooler_statements(&connect(url).await?.client).await?)
}

/// Parameters of slow executions that the pooler has captured.
pub(crate) async fn captures(url: &str) -> anyhow::Result<Vec<PoolerCapture>> {
    Ok(slow::pooler_captures(&connect(url).await?.client).await?)
}

async fn connect(url: &str) -> anyhow::Result<Connected> {
    database::connect(Some(url)).await.context("--pooler-url, the console of the pooler")
}
