//! From options to reports and an exit code.

use std::io::{IsTerminal as _, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use pgprime_client::DatabaseConfig;
use pgprime_monitor::health::{Direct, HealthReport, Settings, Status, text};
use pgprime_monitor::watch::{Console, PoolerSource, Round, WatchConfig, Watcher};
use pgprime_views::Declarations;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::options::Arguments;
use crate::config::{Configuration, Front};
use crate::exit;
use crate::output::{print, print_json};

/// Between the two looks of a single report: what is counted reaches the statistics within a second.
const BETWEEN: Duration = Duration::from_secs(1);
/// Waste and views are waited for this long.
const BESIDE_MAX: Duration = Duration::from_secs(10);
/// Puts the cursor into the corner and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let configuration = Configuration::load(arguments.config.as_deref())?;
    let (settings, declarations) = read(&configuration)?;
    let url = configuration.database_url(arguments.database_url()).context(
        "--database-url or DATABASE_URL is needed, such as postgresql://user:password@host:5432/database, or [database] url \
         in the configuration",
    )?;
    DatabaseConfig::new(url).validate().context("--database-url is not the address of a database")?;
    let connect = Arc::new(Direct::new(url, settings.timeout));
    let poolers = pooler(arguments, &configuration, url)?;
    let config = WatchConfig { declarations, poolers, ..WatchConfig::new(settings, connect) };
    crate::database::block_on(async {
        match arguments.watch {
            Some(_) => watch(arguments, config).await,
            None => once(arguments, config).await,
        }
    })
}

/// The pooler that was named, else that of the configuration.
fn pooler(
    arguments: &Arguments,
    configuration: &Configuration,
    database_url: &str,
) -> anyhow::Result<Vec<Box<dyn PoolerSource>>> {
    let (url, origin) = match arguments.pooler_url() {
        Some(url) => (url.to_owned(), "--pooler-url"),
        None => match configuration.front(database_url) {
            Front::Console(url) => (url, "[pgbouncer] url"),
            Front::Nothing => return Ok(Vec::new()),
            Front::Unseen(why) => {
                eprintln!("pgprime: {why}");
                return Ok(Vec::new());
            }
        },
    };
    DatabaseConfig::new(&url)
        .validate()
        .with_context(|| format!("{origin} is not the address of a console"))?;
    Ok(vec![Box::new(Console::new("the pooler", url))])
}

/// A mistake in the file is said before anybody is asked for anything.
fn read(configuration: &Configuration) -> anyhow::Result<(Settings, Option<Declarations>)> {
    let Some(path) = &configuration.path else { return Ok((Settings::default(), None)) };
    let settings = Settings::from_toml(&configuration.text);
    let settings = settings.map_err(|error| configuration.placed(&["health"], error))?;
    let declarations = Declarations::read(path);
    let declarations =
        declarations.map_err(|error| configuration.placed(&["views", "view_policy"], error))?;
    Ok((settings, Some(declarations)))
}

/// Two looks, so that what happens now is told and not what happened since statistics began.
async fn once(arguments: &Arguments, mut config: WatchConfig) -> anyhow::Result<ExitCode> {
    config.settings.catalog_every = Duration::ZERO;
    config.settings.views_every = Duration::ZERO;
    let mut watcher = Watcher::new(config);
    let mut round = watcher.round().await;
    if round.observation.is_some() {
        // What takes longer is said to be missing rather than waited for.
        let _late = timeout(BESIDE_MAX, watcher.wait_for_all()).await;
        sleep(BETWEEN).await;
        round = watcher.round().await;
    }
    if arguments.json {
        print_json(&*round.report)?;
    } else {
        print(&text(&round.report))?;
    }
    Ok(code(arguments, &round.report))
}

/// Looks until Ctrl-C; the exit code is that of the last look.
async fn watch(arguments: &Arguments, mut config: WatchConfig) -> anyhow::Result<ExitCode> {
    config.settings.interval = arguments.interval().unwrap_or(config.settings.interval);
    let mut ticks = interval(config.settings.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watcher = Watcher::new(config);
    let mut last = ExitCode::SUCCESS;
    let mut asked_to_end = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = &mut asked_to_end => return Ok(last),
            _ = ticks.tick() => {}
        }
        let round = tokio::select! {
            _ = &mut asked_to_end => return Ok(last),
            round = watcher.round() => round,
        };
        show(arguments, &round)?;
        last = code(arguments, &round.report);
    }
}

/// On a terminal each report takes the place of the one before; elsewhere they follow one another.
fn show(arguments: &Arguments, round: &Round) -> anyhow::Result<()> {
    if arguments.json {
        return print(&(serde_json::to_string(&*round.report)? + "\n"));
    }
    let report = text(&round.report);
    if stdout().is_terminal() { print(&format!("{CLEAR}{report}")) } else { print(&format!("{report}\n")) }
}

fn code(arguments: &Arguments, report: &HealthReport) -> ExitCode {
    let is_down =
        report.checks.iter().any(|check| check.id == "database.up" && check.status == Status::Critical)
            && report.server_version.is_none();
    match report.status {
        _ if is_down => ExitCode::from(exit::UNREACHABLE),
        status if arguments.fail_at.is_reached(status) => ExitCode::from(exit::FINDING),
        _ => ExitCode::SUCCESS,
    }
}
