//! Where the workload is from: a file, the history, or the counters of the database.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use jiff::Zoned;
use pgprime_advisor::Missing;
use pgprime_advisor::indexes::{Workload, WorkloadError};
use pgprime_advisor::slow::{self, SlowError};
use pgprime_client::Connected;

use crate::database::{self, Unreachable};
use crate::history_file;

/// More than any workload that somebody has written.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The workload, or what is missing for one.
pub(crate) enum Found {
    Workload { workload: Workload, note: Option<String> },
    Missing(Vec<Missing>),
}

/// The workload of a file, before a database is asked for anything.
pub(crate) fn of_file(path: &Path) -> anyhow::Result<Workload> {
    let mut text = Vec::new();
    let outcome = match path.to_str() {
        Some("-") => io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut text),
        _ => File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)),
    };
    let name = path.display();
    outcome.with_context(|| format!("cannot read the workload in {name}"))?;
    let text = String::from_utf8(text).with_context(|| format!("{name} is not text in UTF-8"))?;
    Workload::from_sql(&text)
        .map_err(|error: WorkloadError| anyhow::anyhow!("{name} is no workload: {error}"))
}

/// The workload that pg_stat_statements has counted, since when it was asked for.
pub(crate) async fn of_database(
    connected: &Connected,
    since: Option<&str>,
    history: Option<&Path>,
) -> anyhow::Result<Found> {
    let since = since.map(|text| slow::since(text, &Zoned::now())).transpose();
    let since = since.context("--since")?;
    let snapshot = match slow::snapshot(&connected.client).await {
        Ok(snapshot) => snapshot,
        Err(SlowError::NotMeasured { missing }) => return Ok(Found::Missing(missing)),
        Err(error) if error.is_connection_lost() => return Err(Unreachable::lost(connected, &error).into()),
        Err(error) => return Err(error.into()),
    };
    let mut note = None;
    let mut period = slow::since_reset(&snapshot);
    if let Some(since) = since {
        let mut history = history_file::open(history)?;
        let label = database::address(connected);
        slow::record(&mut history, &snapshot, &label)?;
        match slow::recorded(&history, &snapshot.source(&label), since, snapshot.reading.taken_at)? {
            Some(recorded) => period = recorded,
            None => {
                note = Some(
                    "Nothing is recorded for this time yet: all counts since the last reset are weighed.",
                );
            }
        }
    }
    let workload = Workload::from_period(&period, snapshot.server.database_oid);
    Ok(Found::Workload { workload, note: note.map(str::to_owned) })
}
