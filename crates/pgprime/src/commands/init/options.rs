//! The options of the command.

use std::path::PathBuf;

use clap::Args;

/// Options of a new configuration.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: pgprime init --database-url postgresql://app:password@127.0.0.1:5432/insurance --rps 1000\n\
    Changes nothing in the database; what it does not tell is assumed, and said.\n\
    Exit codes: 0 written, 1 written, but the load is more than the database can carry, 2 wrong usage, or the file is there \
    already, 3 the database could not be reached"
)]
pub(crate) struct Arguments {
    /// The database itself, not a pooler in front of it; it is not changed
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Requests per second at the busiest moment [otherwise: from what was measured]
    #[arg(long, value_name = "NUMBER")]
    pub(super) rps: Option<f64>,
    /// Milliseconds that a request holds its connection on average [otherwise: measured, or 20]
    #[arg(long, value_name = "MS")]
    pub(super) service_ms: Option<f64>,
    /// Instances of the application
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(super) instances: u32,
    /// Concurrent users
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub(super) users: u32,
    /// The console of a PgBouncer that runs in front of the database already, and stays
    #[arg(long, value_name = "URL", env = "PGPRIME_PGBOUNCER_URL", hide_env_values = true)]
    pgbouncer_url: Option<String>,
    /// Where to write
    #[arg(long, value_name = "FILE", default_value = "config/pgprime.toml")]
    pub(super) output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub(super) force: bool,
    /// Write passwords too, into a file for its owner's eyes only; otherwise DATABASE_URL has to hold them
    #[arg(long)]
    pub(super) with_password: bool,
}

impl Arguments {
    /// The database to ask, if any; a variable that is set to nothing counts as none.
    pub(super) fn database_url(&self) -> Option<&str> {
        set(self.database_url.as_deref())
    }

    /// The PgBouncer in front of it, if any.
    pub(super) fn pgbouncer_url(&self) -> Option<&str> {
        set(self.pgbouncer_url.as_deref())
    }
}

fn set(url: Option<&str>) -> Option<&str> {
    url.map(str::trim).filter(|url| !url.is_empty())
}
