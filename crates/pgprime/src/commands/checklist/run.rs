//! From options to the checklist and an exit code.

use std::process::ExitCode;

use anyhow::Context as _;
use pgprime_api::ApiConfig;
use pgprime_client::Connected;
use pgprime_monitor::checklist::{self, ChecklistReport, GatherOptions, Running};
use pgprime_monitor::health::Place;
use pgprime_planner::hardware::is_local;

use super::options::Arguments;
use crate::config::{Configuration, Front};
use crate::database::{self, Unreachable};
use crate::exit;
use crate::output::{print, print_json};
use crate::running::{self, RunningError};

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
    let configuration = Configuration::load(arguments.config.as_deref())?;
    let url = configuration.database_url(arguments.database_url());
    let connected = database::connect(url).await?;
    let front = configuration.front(url.unwrap_or_default());
    let console = match arguments.pooler_url() {
        Some(url) => {
            let connected = database::connect(Some(url)).await;
            Some(connected.context("--pooler-url, the console of the pooler")?)
        }
        None => console(&front).await,
    };
    let running = running(arguments, &configuration, url.unwrap_or_default(), &connected).await?;
    let options = GatherOptions {
        machine: arguments.machine(),
        place: if is_local(&connected.host) { Place::Here } else { Place::Elsewhere },
        console: console.as_ref().map(|connected| &connected.client),
        running,
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

/// The console of the configuration's pooler. Without it the rest of the list is as good.
async fn console(front: &Front) -> Option<Connected> {
    let url = match front {
        Front::Console(url) => url,
        Front::Nothing => return None,
        Front::Unseen(why) => {
            eprintln!("pgprime: {why}");
            return None;
        }
    };
    match database::connect(Some(url)).await {
        Ok(connected) => Some(connected),
        Err(error) => {
            eprintln!("pgprime: the pooler of the configuration was not asked: {}", exit::describe(&error));
            None
        }
    }
}

/// What the running pgprime knows: the one that was named, else the one that the configuration is of.
async fn running(
    arguments: &Arguments,
    configuration: &Configuration,
    url: &str,
    connected: &Connected,
) -> anyhow::Result<Option<Running>> {
    let at = match arguments.api_url() {
        Some(at) => at.to_owned(),
        None if configuration.is_about(url) => {
            running::url_of(&ApiConfig::from_table(configuration.file.api.clone())?)
        }
        None => return Ok(None),
    };
    let known = match running::ask(&at, arguments.api_token()).await {
        Ok(known) => known,
        // Where nobody says that one runs, none may.
        Err(RunningError::Absent { .. }) if arguments.api_url().is_none() => return Ok(None),
        Err(error @ RunningError::Absent { .. }) => return Err(Unreachable::other(&error).into()),
        Err(error) => {
            eprintln!("pgprime: {error}");
            return Ok(None);
        }
    };
    let Some(running) = known.running else {
        eprintln!("pgprime: the pgprime at {at} is of another version, or does not watch");
        return Ok(None);
    };
    let is_meant = arguments.api_url().is_some() || configuration.names_database();
    let name = database::name(connected).await?;
    if known.database != name || !(is_meant || running.server == database::address(connected)) {
        eprintln!(
            "pgprime: the pgprime at {at} watches {} at {}; if that is this database, name it with --api-url {at}",
            known.database, running.server
        );
        return Ok(None);
    }
    Ok(Some(running))
}
