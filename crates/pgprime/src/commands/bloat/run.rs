//! From options to a report and an exit code.

use std::process::ExitCode;

use anyhow::Context as _;
use jiff::{Timestamp, Zoned};
use pgprime_advisor::slow;
use pgprime_advisor::space::{self, Severity, SpaceReport};

use super::options::Arguments;
use crate::database::{self, Unreachable};
use crate::output::{print, print_json};
use crate::{exit, history_file};

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = database::block_on(look(arguments))?;
    if arguments.json {
        print_json(&report)?;
    } else {
        print(&space::text(&report))?;
    }
    let is_well = report.worst().is_none_or(|worst| worst < Severity::Warning);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

async fn look(arguments: &Arguments) -> anyhow::Result<SpaceReport> {
    let since = arguments.since.as_deref().map(|text| slow::since(text, &Zoned::now())).transpose();
    let since = since.context("--since")?;
    let connected = database::connect(arguments.database_url()).await?;
    match space::report(&connected.client, &arguments.space_options()).await {
        Ok(mut report) => {
            let is_needed = arguments.since.is_some() || arguments.history.is_some();
            match remember(&mut report, &database::address(&connected), since, arguments) {
                Err(error) if is_needed => return Err(error),
                Err(error) => eprintln!("pgprime: growth is not told: {}", exit::describe(&error)),
                Ok(()) => {}
            }
            Ok(report)
        }
        Err(error) if error.is_connection_lost() => Err(Unreachable::lost(&connected, &error).into()),
        Err(error) => {
            Err(error).context(format!("cannot read the database at {}", database::address(&connected)))
        }
    }
}

/// Growth is told by what earlier runs have recorded.
fn remember(
    report: &mut SpaceReport,
    label: &str,
    since: Option<Timestamp>,
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let mut history = history_file::open(arguments.history.as_deref())?;
    Ok(space::remember(&mut history, report, label, since, Timestamp::now())?)
}
