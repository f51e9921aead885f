//! `pgprime demo`

mod findings;
mod findings_text;
mod found;
mod watch;

use std::convert::Infallible;
use std::env;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use pgprime_demo::{DemoOptions, PoolerCommand, RedisUrl, Statements};

use crate::exit;
use findings::{Optimizer, Watches};

/// Options of the demo.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Client connections
    #[arg(long, default_value_t = 10_000)]
    clients: u32,
    /// Seconds of load
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Amount of data: 1 is about a million rows
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Requests a second, over all clients
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// Server connections
    #[arg(long, default_value_t = 25)]
    pool_size: u32,
    /// Connections of the admin pool, which heavy reports run in; one for every two cores when not given
    #[arg(long)]
    admin_pool_size: Option<u32>,
    /// Redis or Valkey that keeps the dashboard's results beside memory
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_parser = redis_url)]
    redis_url: Option<RedisUrl>,
    /// Another pooler in the place of pgprime's: a command with {config} in it
    #[arg(long)]
    pooler: Option<String>,
    /// Do without named prepared statements, for poolers that lose them
    #[arg(long)]
    unnamed: bool,
    /// Do without the monitor and its dashboard
    #[arg(long)]
    no_dashboard: bool,
    /// Print the report as one JSON document
    #[arg(long)]
    json: bool,
    /// Stay up after the load and print how to connect, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let pooler = match &arguments.pooler {
        Some(command) => PoolerCommand::Template(command.clone()),
        None => PoolerCommand::Own(env::current_exe().context("cannot find our own program")?),
    };
    let defaults = DemoOptions::new(pooler);
    let options = DemoOptions {
        admin_pool_size: arguments.admin_pool_size.unwrap_or(defaults.admin_pool_size),
        clients: arguments.clients,
        seconds: arguments.seconds,
        scale: arguments.scale,
        rate: arguments.rate,
        pool_size: arguments.pool_size,
        redis_url: arguments.redis_url.clone(),
        statements: if arguments.unnamed { Statements::Unnamed } else { Statements::Named },
        json: arguments.json,
        keep: arguments.keep,
        ..defaults
    };
    let watches = if arguments.no_dashboard { Watches::No } else { Watches::Yes };
    let report = pgprime_demo::demo(&options, Some(&mut Optimizer::new(watches)))?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}

fn redis_url(url: &str) -> Result<RedisUrl, Infallible> {
    Ok(RedisUrl::new(url))
}
