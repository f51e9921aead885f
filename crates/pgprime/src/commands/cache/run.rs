//! From options to a report and an exit code.

use std::process::ExitCode;

use anyhow::bail;
use pgprime_client::{Connected, Error};
use serde::Serialize;

use super::done::Done;
use super::options::{Arguments, What, Wish};
use super::{publication, triggers};
use crate::database::{self, Unreachable};
use crate::exit;
use crate::output::{print, print_json};

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let is_well = database::block_on(work(arguments))?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

async fn work(arguments: &Arguments) -> anyhow::Result<bool> {
    let (tables, what) = match &arguments.what {
        What::Triggers(tables) => (tables, "triggers"),
        What::Publication(publication) => (&publication.tables, "publication"),
    };
    if tables.wish() != Wish::Tell && tables.names.is_empty() && tables.all_of.is_none() {
        bail!("name the tables, or a schema with --all-of");
    }
    let connected = database::connect(arguments.database_url()).await?;
    let client = &connected.client;
    let (wish, explained) = (tables.wish(), |error| explained(error, &connected, what));
    match &arguments.what {
        What::Triggers(tables) => {
            tell(triggers::carry_out(client, tables).await.map_err(explained)?, arguments, |report| {
                (report.text(), report.is_as(wish))
            })
        }
        What::Publication(asked) => {
            tell(publication::carry_out(client, asked).await.map_err(explained)?, arguments, |report| {
                (report.text(), report.is_as(wish))
            })
        }
    }
}

/// Prints it; whether all is well, which `judge` says with the text for people.
fn tell<R: Serialize>(
    done: Done<R>,
    arguments: &Arguments,
    judge: impl Fn(&R) -> (String, bool),
) -> anyhow::Result<bool> {
    let report = match done {
        Done::Sql(sql) => {
            print(&sql)?;
            return Ok(true);
        }
        Done::Report(report) => report,
    };
    let (text, is_well) = judge(&report);
    if arguments.json {
        print_json(&report)?
    } else {
        print(&text)?
    }
    Ok(is_well)
}

/// A connection that was lost has an exit code of its own.
fn explained(error: Error, connected: &Connected, what: &str) -> anyhow::Error {
    if error.is_connection_lost() {
        return Unreachable::lost(connected, &error).into();
    }
    anyhow::Error::new(error).context(format!("the {what} at {}", database::address(connected)))
}
