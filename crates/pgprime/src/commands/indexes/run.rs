//! From options to advice, a review and an exit code.

use std::process::ExitCode;

use anyhow::Context as _;
use pgprime_advisor::index_review::{self, ReviewOptions};
use pgprime_advisor::indexes::{self, IndexesError};
use pgprime_client::Connected;

use super::apply::{Interrupted, apply};
use super::options::Arguments;
use super::report::Report;
use crate::database::{self, Unreachable};
use crate::exit;
use crate::output::{print, print_json};
use crate::workload::{self, Found};

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = match database::block_on(look(arguments)) {
        Ok(report) => report,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("pgprime: {error}");
            return Ok(ExitCode::from(exit::FINDING));
        }
        Err(error) => return Err(error),
    };
    if arguments.json {
        print_json(&report)?;
    } else {
        print(&report.text())?;
    }
    Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

async fn look(arguments: &Arguments) -> anyhow::Result<Report> {
    let of_file = arguments.workload.as_deref().map(workload::of_file).transpose()?;
    let connected = database::connect(arguments.database_url()).await?;
    let found = match of_file {
        Some(workload) => Found::Workload { workload, note: None },
        None => {
            workload::of_database(&connected, arguments.since.as_deref(), arguments.history.as_deref())
                .await?
        }
    };
    let review = match index_review::review(&connected.client, &ReviewOptions::default()).await {
        Ok(review) => review,
        Err(error) if error.is_connection_lost() => {
            return Err(Unreachable::lost(&connected, &error).into());
        }
        Err(error) => {
            let at = database::address(&connected);
            return Err(error).context(format!("cannot read the database at {at}"));
        }
    };
    let mut report = Report { advice: None, missing: Vec::new(), notes: Vec::new(), review, applied: None };
    match found {
        Found::Missing(missing) if arguments.apply.is_some() => {
            let steps = pgprime_advisor::slow::missing_text(&missing);
            anyhow::bail!("there is no workload to advise on: name a file with --workload, or\n{steps}")
        }
        Found::Missing(missing) => report.missing = missing,
        Found::Workload { workload, note } => {
            report.notes.extend(note);
            let advice = indexes::advise(&connected.client, &workload, &arguments.advice()).await;
            let advice = advice.map_err(|error| in_context(error, &connected))?;
            if arguments.apply.is_some() {
                report.applied = Some(apply(&connected, &workload, &advice, arguments).await?);
            }
            report.advice = Some(advice);
        }
    }
    Ok(report)
}

/// A connection that is lost meanwhile is a database out of reach.
fn in_context(error: IndexesError, connected: &Connected) -> anyhow::Error {
    match error.is_connection_lost() {
        true => Unreachable::lost(connected, &error).into(),
        false => error.into(),
    }
}
