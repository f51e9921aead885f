//! The options of the command.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use pgprime_advisor::slow::Order;

/// Options of the report.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Each run records what happened since the one before, so that --since has something to tell: run \
    `pgprime slow-queries --record` from cron.\n\
    Exit codes: 0 well, 1 statements are slow, 2 wrong usage or pg_stat_statements is missing, 3 the database could not be \
    reached"
)]
pub(crate) struct Arguments {
    /// The database whose statements are told of; nothing in it is changed
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(super) database_url: Option<String>,
    /// A statement with at least this mean is slow
    #[arg(long, value_name = "MS", value_parser = milliseconds, allow_hyphen_values = true, default_value = "1000")]
    pub(super) threshold_ms: f64,
    /// So is one that took this long once, as far as that is known
    #[arg(long, value_name = "MS", value_parser = milliseconds, allow_hyphen_values = true)]
    pub(super) threshold_max_ms: Option<f64>,
    /// What comes first
    #[arg(long, value_parser = order(), default_value = "total")]
    pub(super) order: Order,
    /// Only what happened since: 15m, 24h, 7d, today, yesterday, or a time such as 2026-03-01T09:30 [otherwise: all since
    /// the last reset of pg_stat_statements]
    #[arg(long, value_name = "WHEN", conflicts_with = "interval")]
    pub(super) since: Option<String>,
    /// Only what happens in so many seconds from now
    #[arg(long, visible_alias = "watch", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(super) interval: Option<u32>,
    /// Statements to tell of at most
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000), default_value = "20")]
    pub(super) limit: u32,
    /// Of all databases of the server, not only of the one that is connected to
    #[arg(long)]
    pub(super) all_databases: bool,
    /// Record what happened since the last run, and tell nothing
    #[arg(long, conflicts_with_all = ["since", "interval", "json"])]
    pub(super) record: bool,
    /// The file of the history [otherwise: pgprime/history.sqlite below $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE")]
    pub(super) history: Option<PathBuf>,
    /// The console of the pooler in front of the database, such as postgresql://stats:password@host:6432/pgbouncer: adds
    /// percentiles, waits, errors and repeats to the statements
    #[arg(long, value_name = "URL", env = "PGPRIME_POOLER_URL", hide_env_values = true)]
    pub(super) pooler_url: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    /// The pooler's console, if any; a variable that is set to nothing counts as none.
    pub(super) fn pooler_url(&self) -> Option<&str> {
        self.pooler_url.as_deref().filter(|url| !url.trim().is_empty())
    }

    /// The database to ask; a variable that is set to nothing counts as none.
    pub(super) fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.trim().is_empty())
    }
}

fn milliseconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("a number of milliseconds is needed, 0 or more".to_owned()),
    }
}

fn order() -> impl clap::builder::TypedValueParser<Value = Order> {
    PossibleValuesParser::new(Order::ALL.iter().map(|(name, _)| *name))
        .map(|name| Order::named(&name).unwrap_or_default())
}
