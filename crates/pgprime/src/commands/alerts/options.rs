//! The options of the command.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Options of alerts.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) action: Action,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Send a message that says it is a test to each channel, at once and once each
    #[command(after_help = "Exit codes: 0 all arrived, 1 one did not, 2 wrong usage or configuration")]
    Test(Options),
    /// List the rules in force: the default ones, as far as they are not changed or switched off, and further ones
    #[command(after_help = "Exit codes: 0 well, 2 wrong usage or configuration")]
    Rules(Options),
}

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration [otherwise: pgprime.toml, config/pgprime.toml or /etc/pgprime/pgprime.toml, where there is one]
    #[arg(long, value_name = "FILE", env = "PGPRIME_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}
