//! The options of the command.

use std::path::PathBuf;

use clap::Args;
use pgprime_advisor::explain::Superuser;
use pgprime_advisor::indexes::{AdviceOptions, ApplyOptions};

use crate::amount;

const HELP_ADVICE: &str = "Advice";
const HELP_APPLY: &str = "Applying";

/// Options of advice on indexes.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: pgprime indexes --database-url postgresql://user:password@host:5432/database --budget 1GB\n\
    Tells which indexes the statements of pg_stat_statements (or of a file) lack, and which of those that exist cost more than\n\
    they give. Nothing is changed without --apply.\n\
    Exit codes: 0 well, 1 a suggestion, or a finding of warning or above, 2 wrong usage, 3 the database could not be reached"
)]
pub(crate) struct Arguments {
    /// The database to look at; it is not changed without --apply
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,

    /// What all suggestions together may take, such as 1GB
    #[arg(long, value_name = "SIZE", value_parser = amount::bytes, help_heading = HELP_ADVICE)]
    budget: Option<u64>,
    /// Only what the history says was executed since: 15m, 24h, 7d, today, or a time [otherwise: all since the last reset of
    /// pg_stat_statements]
    #[arg(long, value_name = "WHEN", help_heading = HELP_ADVICE)]
    pub(super) since: Option<String>,
    /// The statements of a file instead, separated by semicolons, or of standard input (-); `-- weight: 12` in front of one says how often
    /// it is executed
    #[arg(long, value_name = "FILE", conflicts_with = "since", help_heading = HELP_ADVICE)]
    pub(super) workload: Option<PathBuf>,
    /// The file of the history [otherwise: pgprime/history.sqlite below $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE", requires = "since", help_heading = HELP_ADVICE)]
    pub(super) history: Option<PathBuf>,
    /// Suggestions at most
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1_000), default_value = "10", help_heading = HELP_ADVICE)]
    max: u16,
    /// Do without HypoPG: estimate
    #[arg(long, help_heading = HELP_ADVICE)]
    no_hypopg: bool,

    /// Create what is suggested, or of that the indexes that are named here, without keeping anybody waiting, and measure before and after
    #[arg(long, value_name = "NAME", num_args = 0.., help_heading = HELP_APPLY)]
    pub(super) apply: Option<Vec<String>>,
    /// Drop again what brings nothing
    #[arg(long, requires = "apply", help_heading = HELP_APPLY)]
    auto_revert: bool,
    /// Execute reads to measure them even as a superuser, whom privileges keep from nothing
    #[arg(long, requires = "apply", help_heading = HELP_APPLY)]
    as_superuser: bool,
}

impl Arguments {
    /// The database to ask; a variable that is set to nothing counts as none.
    pub(super) fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.trim().is_empty())
    }

    pub(super) fn advice(&self) -> AdviceOptions {
        AdviceOptions {
            budget_bytes: self.budget,
            indexes_max: usize::from(self.max),
            uses_hypopg: !self.no_hypopg,
            ..AdviceOptions::default()
        }
    }

    pub(super) fn applying(&self) -> ApplyOptions {
        ApplyOptions {
            names: self.apply.clone().unwrap_or_default(),
            auto_revert: self.auto_revert,
            superuser: if self.as_superuser { Superuser::Allowed } else { Superuser::Refused },
            ..ApplyOptions::default()
        }
    }
}
