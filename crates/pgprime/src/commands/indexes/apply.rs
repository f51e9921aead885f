//! Applying suggestions, until it is done or somebody has had enough.

use anyhow::Context as _;
use pgprime_advisor::indexes::{self, Advice, Applied, Workload};
use pgprime_client::Connected;
use tokio_postgres::NoTls;

use super::options::Arguments;
use crate::database;

/// Somebody has had enough; what that left is told.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; {0}")]
pub(super) struct Interrupted(String);

/// Creates what is suggested. At Ctrl-C the build is cancelled, and what it has left is taken away.
pub(super) async fn apply(
    connected: &Connected,
    workload: &Workload,
    advice: &Advice,
    arguments: &Arguments,
) -> anyhow::Result<Vec<Applied>> {
    let options = arguments.applying();
    let work = indexes::apply(&connected.client, workload, advice, &options);
    tokio::select! {
        applied = work => return Ok(applied?),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C")?,
    }
    eprintln!("pgprime: interrupted: the build is cancelled, and what it has left is taken away");
    // The server's end of the connection may be busy: it is told on a connection of its own, which needs no encryption.
    connected.client.cancel_token().cancel_query(NoTls).await.context("cannot cancel the build")?;
    let again = database::connect(arguments.database_url()).await?;
    let dropped = indexes::clean_up(&again.client, advice, &options).await?;
    Err(Interrupted(match dropped.is_empty() {
        true => "no unfinished index is left".to_owned(),
        false => format!("dropped unfinished: {}", dropped.join(", ")),
    })
    .into())
}
