//! From options to the checklist and an exit code.

use std::process::ExitCode;

use anyhow::Context as _;
use pgprime_monitor::checklist::{self, ChecklistReport, GatherOptions};
use pgprime_monitor::health::Place;
use pgprime_planner::hardware::is_local;

use super::options::Arguments;
use crate::database::{self, Unreachable};
use crate::exit;
use crate::output::{print, print_json};

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = database::block_on(look(arguments))?;
    match arguments {
        arguments if arguments.fix_sql => print(&checklist::fix_sql(&report))?,
        arguments if arguments.json => print_json(&report)?,
        _ => print(&checklist::text(&report))?,
    }
    Ok(if report.counts.not_met == 0 { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

async fn look(arguments: &Arguments) -> anyhow::Result<ChecklistReport> {
    let connected = database::connect(arguments.database_url()).await?;
    let console = match arguments.pooler_url() {
        Some(url) => {
            let connected = database::connect(Some(url)).await;
            Some(connected.context("--pooler-url, the console of the pooler")?)
        }
        None => None,
    };
    let options = GatherOptions {
        machine: arguments.machine(),
        place: if is_local(&connected.host) { Place::Here } else { Place::Elsewhere },
        console: console.as_ref().map(|connected| &connected.client),
        ..GatherOptions::default()
    };
    let evidence = checklist::gather(&connected.client, &options).await.map_err(|error| {
        if error.is_connection_lost() {
            return Unreachable::lost(&connected, &error).into();
        }
        let at = database::address(&connected);
        anyhow::Error::new(error).context(format!("cannot read the database at {at}"))
    })?;
    Ok(checklist::check(&evidence))
}
