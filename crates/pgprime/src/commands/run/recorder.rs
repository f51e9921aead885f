//! What statements did, recorded again and again, so that `--since` and trends have something to tell.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgprime_advisor::history::{History, Retention};
use pgprime_advisor::slow::{self, SlowError, Snapshot};
use pgprime_api::LazyDatabase;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::HistorySection;

/// Why nothing was recorded.
#[derive(Debug, PartialEq, Eq)]
enum Unrecorded {
    /// The server counts nothing: how PostgreSQL comes, and how it may stay.
    NotMeasured(String),
    Failed(String),
}

impl Unrecorded {
    fn say(&self) {
        match self {
            Self::NotMeasured(reason) => {
                tracing::info!(
                    reason,
                    "what statements do is not recorded; `pgprime slow-queries` says what to do"
                );
            }
            Self::Failed(reason) => tracing::warn!(reason, "what statements do is not recorded"),
        }
    }
}

impl From<SlowError> for Unrecorded {
    fn from(error: SlowError) -> Self {
        match error {
            error @ SlowError::NotMeasured { .. } => Self::NotMeasured(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

/// Records until it is dropped. A failure is said once, and again when it is another.
pub(super) async fn record(database: LazyDatabase, file: PathBuf, label: String, kept: HistorySection) {
    let mut ticks = interval(kept.statements_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = None;
    loop {
        ticks.tick().await;
        let outcome = once(&database, &file, &label, kept.of_statements()).await;
        match (&outcome, &said) {
            (Err(now), before) if Some(now) != before.as_ref() => now.say(),
            (Ok(()), Some(_)) => tracing::info!("what statements do is recorded again"),
            _ => {}
        }
        said = outcome.err();
    }
}

async fn once(
    database: &LazyDatabase,
    file: &Path,
    label: &str,
    retention: Retention,
) -> Result<(), Unrecorded> {
    let snapshot = Arc::new(read(database).await?);
    let (file, label) = (file.to_owned(), label.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let mut history = History::open(&file, retention)?;
        slow::record(&mut history, &snapshot, &label).map(drop)
    });
    match written.await {
        Ok(outcome) => outcome.map_err(|error| Unrecorded::Failed(error.to_string())),
        Err(error) => Err(Unrecorded::Failed(error.to_string())),
    }
}

async fn read(database: &LazyDatabase) -> Result<Snapshot, Unrecorded> {
    let admin = database.get().await.map_err(Unrecorded::Failed)?.admin();
    let acquired = admin.acquire().await;
    let connection = acquired.map_err(|error| Unrecorded::Failed(error.to_string()))?;
    let snapshot = slow::snapshot_except(connection.client_local(), &HashSet::new()).await;
    Ok(snapshot?)
}
