//! `pgprime bench`

use std::env;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use pgprime_demo::{Auth, BenchOptions, PoolerCommand, Protocol};

use crate::exit;

/// Options of the benchmark.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Another pooler to measure beside pgprime's, as often as wanted: NAME=COMMAND with {config} in it
    #[arg(long = "peer")]
    peers: Vec<String>,
    /// Numbers of clients
    #[arg(long, value_delimiter = ',', default_values_t = [1, 25, 1_000, 10_000])]
    clients: Vec<u32>,
    /// simple, extended, prepared
    #[arg(long, value_delimiter = ',', default_value = "simple,extended,prepared")]
    protocols: Vec<Protocol>,
    /// Seconds for each run
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// How often everything is measured
    #[arg(long)]
    rounds: Option<u32>,
    /// Server connections
    #[arg(long, default_value_t = 25)]
    pool_size: u32,
    /// How clients log in: trust or scram
    #[arg(long, default_value = "trust")]
    auth: Auth,
    /// Logins to time, of each kind; 0 for none
    #[arg(long)]
    logins: Option<u32>,
    /// Print the report as one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let own = env::current_exe().context("cannot find our own program")?;
    let mut options = BenchOptions::new(Some(PoolerCommand::Own(own)));
    for peer in &arguments.peers {
        options.add_peer(peer)?;
    }
    options.clients.clone_from(&arguments.clients);
    options.protocols.clone_from(&arguments.protocols);
    options.seconds = arguments.seconds;
    options.pool_size = arguments.pool_size;
    options.auth = arguments.auth;
    options.json = arguments.json;
    options.rounds = arguments.rounds.unwrap_or(options.rounds);
    options.logins = arguments.logins.unwrap_or(options.logins);
    let report = pgprime_demo::bench(&options)?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(exit::FINDING) })
}
