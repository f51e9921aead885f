//! What statements did, recorded each minute, so that `--since` and trends have something to tell.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pgprime_advisor::history::{History, Retention};
use pgprime_advisor::slow::{self, SlowError, Snapshot};
use pgprime_api::LazyDatabase;
use tokio::time::{MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_secs(60);

/// Records until it is dropped. A failure is said once, and again when it is another.
pub(super) async fn record(database: LazyDatabase, file: PathBuf, label: String) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = None;
    loop {
        ticks.tick().await;
        let outcome = once(&database, &file, &label).await;
        match (&outcome, &said) {
            (Err(now), before) if Some(now) != before.as_ref() => {
                tracing::warn!(reason = now, "what statements do is not recorded");
            }
            (Ok(()), Some(_)) => tracing::info!("what statements do is recorded again"),
            _ => {}
        }
        said = outcome.err();
    }
}

async fn once(database: &LazyDatabase, file: &Path, label: &str) -> Result<(), String> {
    let snapshot = Arc::new(read(database).await?);
    let (file, label) = (file.to_owned(), label.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let mut history = History::open(&file, Retention::default())?;
        slow::record(&mut history, &snapshot, &label).map(drop)
    });
    match written.await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn read(database: &LazyDatabase) -> Result<Snapshot, String> {
    let admin = database.get().await?.admin();
    let connection = admin.acquire().await.map_err(|error| error.to_string())?;
    let snapshot = slow::snapshot_except(connection.client_unwatched(), &HashSet::new()).await;
    snapshot.map_err(|error| match error {
        SlowError::NotMeasured { missing } => {
            format!("not measured: {}", slow::missing_text(&missing).trim())
        }
        error => error.to_string(),
    })
}
