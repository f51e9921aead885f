//! From options to snapshots, the history, a report and an exit code.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{Timestamp, Zoned};
use pgprime_advisor::Missing;
use pgprime_advisor::history::{History, Interval, StatementKey};
use pgprime_advisor::slow::{
    self, Databases, IfNone, Period, ReportOptions, SlowError, SlowReport, Snapshot,
};
use pgprime_client::Connected;
use serde::Serialize;

use super::options::Arguments;
use crate::database::{self, Unreachable};
use crate::exit;
use crate::history_file;
use crate::output::{print, print_json};
use crate::pooler_console;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let error = match database::block_on(look(arguments)) {
        Ok(Outcome::Recorded(sentence)) => {
            print(&sentence)?;
            return Ok(ExitCode::SUCCESS);
        }
        Ok(Outcome::Report(report)) => return show(&report, arguments),
        Err(error) => error,
    };
    match error.downcast_ref() {
        Some(SlowError::NotMeasured { missing }) => not_measured(missing, arguments),
        _ => Err(error),
    }
}

/// What a run comes to.
enum Outcome {
    Recorded(String),
    Report(Box<SlowReport>),
}

impl Outcome {
    async fn report(
        snapshot: &Snapshot,
        period: &Period,
        note: Option<&str>,
        arguments: &Arguments,
    ) -> anyhow::Result<Self> {
        let pooler = match arguments.pooler_url() {
            Some(url) => Some(pooler_console::statements(url).await?),
            None => None,
        };
        let options = ReportOptions {
            order: arguments.order,
            threshold_ms: arguments.threshold_ms,
            threshold_max_ms: arguments.threshold_max_ms,
            limit: arguments.limit as usize,
            databases: if arguments.all_databases { Databases::All } else { Databases::Own },
            if_none: IfNone::MostTime,
            pooler: pooler.as_ref(),
        };
        let mut report = slow::report(snapshot, period, &options);
        report.notes.extend(note.map(str::to_owned));
        Ok(Self::Report(Box::new(report)))
    }
}

/// The database, and the name under which the history keeps it.
struct Database {
    connected: Connected,
    label: String,
}

impl Database {
    async fn connect(url: Option<&str>) -> anyhow::Result<Self> {
        let connected = database::connect(url).await?;
        Ok(Self { label: database::address(&connected), connected })
    }

    /// A connection that is lost meanwhile is a database out of reach.
    async fn snapshot(&self, known: &HashSet<StatementKey>) -> anyhow::Result<Snapshot> {
        slow::snapshot_except(&self.connected.client, known).await.map_err(|error| match error {
            error if error.is_connection_lost() => Unreachable::lost(&self.connected, &error).into(),
            error => error.into(),
        })
    }
}

async fn look(arguments: &Arguments) -> anyhow::Result<Outcome> {
    // What is wrong with the options is said before anything is done.
    let since = arguments.since.as_deref().map(|text| slow::since(text, &Zoned::now())).transpose();
    let since = since.context("--since")?;
    let mut history = open_history(arguments)?;
    let database = Database::connect(arguments.database_url()).await?;
    let first = database.snapshot(&HashSet::new()).await?;
    let recorded = keep(&mut history, &first, &database.label, arguments)?;
    if arguments.record {
        return Ok(Outcome::Recorded(sentence(recorded.as_ref(), &first)));
    }
    if let Some(seconds) = arguments.interval {
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
        let second = database.snapshot(&with_text(&first)).await?;
        keep(&mut history, &second, &database.label, arguments)?;
        let period = slow::between(&first, &second);
        return Outcome::report(&second, &period, None, arguments).await;
    }
    let (period, note) = match (since, &history) {
        (Some(since), Some(history)) => since_then(history, &first, &database.label, since)?,
        _ => (slow::since_reset(&first), None),
    };
    Outcome::report(&first, &period, note, arguments).await
}

/// What is recorded since then, and what has to be said of it.
fn since_then(
    history: &History,
    snapshot: &Snapshot,
    label: &str,
    since: Timestamp,
) -> anyhow::Result<(Period, Option<&'static str>)> {
    let recorded = slow::recorded(history, &snapshot.source(label), since, snapshot.reading.taken_at)?;
    Ok(match recorded {
        Some(period) => {
            let note = (period.totals.coverage.start > since).then_some(SHORTER);
            (period, note)
        }
        None => (slow::since_reset(snapshot), Some(NOTHING_RECORDED)),
    })
}

/// The statements whose texts need not be read again.
fn with_text(snapshot: &Snapshot) -> HashSet<StatementKey> {
    let known = snapshot.identities.iter().filter(|identity| identity.text.is_some());
    known.map(|identity| identity.key).collect()
}

/// Said when the history does not know all of what was asked for.
const SHORTER: &str = "The history begins later than what was asked for.";
const NOTHING_RECORDED: &str = "Nothing is recorded for this time yet: these are all counts since the last reset. What \
    happens from now on is recorded each time this command runs.";

/// The history; without one a report of what was asked for may still be possible.
fn open_history(arguments: &Arguments) -> anyhow::Result<Option<History>> {
    let is_needed = arguments.record || arguments.since.is_some() || arguments.history.is_some();
    match history_file::open(arguments.history.as_deref()) {
        Ok(history) => Ok(Some(history)),
        Err(error) if is_needed => Err(error),
        Err(error) => {
            eprintln!("pgprime: nothing is recorded: {}", exit::describe(&error));
            Ok(None)
        }
    }
}

/// Records; where the history is not what was asked for, a failure is only said.
fn keep(
    history: &mut Option<History>,
    snapshot: &Snapshot,
    label: &str,
    arguments: &Arguments,
) -> anyhow::Result<Option<Interval>> {
    let Some(open) = history else { return Ok(None) };
    match slow::record(open, snapshot, label) {
        Ok(interval) => Ok(interval),
        Err(error) if arguments.record || arguments.since.is_some() => Err(error.into()),
        Err(error) => {
            eprintln!("pgprime: nothing is recorded: {error}");
            Ok(None)
        }
    }
}

fn sentence(interval: Option<&Interval>, snapshot: &Snapshot) -> String {
    match interval {
        Some(interval) => {
            let seconds = interval.end.duration_since(interval.start).as_secs_f64();
            format!("recorded what {} statements did in {seconds:.1} s\n", interval.usages.len())
        }
        None => format!(
            "recorded the counters of {} statements: the next recording tells what happened since\n",
            snapshot.reading.entries.len()
        ),
    }
}

fn show(report: &SlowReport, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.json {
        print_json(report)?;
    } else {
        print(&slow::report_text(report, Zoned::now().time_zone()))?;
    }
    let is_well = report.slow_count == 0;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

/// The steps that are left to do.
fn not_measured(missing: &[Missing], arguments: &Arguments) -> anyhow::Result<ExitCode> {
    #[derive(Serialize)]
    struct Gaps<'a> {
        missing: &'a [Missing],
    }
    if arguments.json {
        print_json(&Gaps { missing })?;
    }
    eprint!("pgprime: statements are not measured\n{}", slow::missing_text(missing));
    Ok(ExitCode::from(exit::USAGE))
}
