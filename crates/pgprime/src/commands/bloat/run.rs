//! From options to a report and an exit code.

use std::process::ExitCode;

use anyhow::Context as _;
use pgprime_advisor::space::{self, Severity, SpaceReport};

use super::options::Arguments;
use crate::database::{self, Unreachable};
use crate::exit;
use crate::output::{print, print_json};

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
    let connected = database::connect(arguments.database_url()).await?;
    match space::report(&connected.client, &arguments.space_options()).await {
        Ok(report) => Ok(report),
        Err(error) if error.is_connection_lost() => Err(Unreachable::lost(&connected, &error).into()),
        Err(error) => {
            Err(error).context(format!("cannot read the database at {}", database::address(&connected)))
        }
    }
}
