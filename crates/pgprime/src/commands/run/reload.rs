//! SIGHUP: the pooler's part of the configuration is read again.

use pgprime_pooler::Handle;
use tokio::signal::unix::{SignalKind, signal};

use super::options::Arguments;
use super::parts::Parts;
use crate::exit;

/// Reloads whenever it is asked to. A pgbouncer.ini of its own is read again by the pooler itself. On a mistake all stays as it
/// is.
pub(super) async fn on_hangup(arguments: Arguments, pooler: Option<Handle>) {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
    while hangups.recv().await.is_some() {
        match read(&arguments, pooler.as_ref()) {
            Ok(Outcome::Replaced) => {
                tracing::info!("the pooler's settings are read again; all others wait for a restart")
            }
            Ok(Outcome::ByThePooler) => {}
            Ok(Outcome::NeedsRestart) => tracing::warn!("this change needs a restart"),
            Err(error) => tracing::error!("the configuration in force stays: {}", exit::describe(&error)),
        }
    }
}

/// What became of it.
enum Outcome {
    Replaced,
    /// It has an ini of its own, and says itself what became of that.
    ByThePooler,
    NeedsRestart,
}

fn read(arguments: &Arguments, pooler: Option<&Handle>) -> anyhow::Result<Outcome> {
    let parts = Parts::read(arguments)?;
    match (pooler, parts.pooler) {
        (Some(pooler), Some(config)) if config.settings.conffile.is_none() => {
            pooler.replace(config)?;
            Ok(Outcome::Replaced)
        }
        (Some(_), Some(_)) => Ok(Outcome::ByThePooler),
        _ => Ok(Outcome::NeedsRestart),
    }
}
