//! The options of the command.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pgprime_monitor::health::Status;

/// Options of a look at the health of a database.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: pgprime health --database-url postgresql://user:password@host:5432/database\n\
    Looks twice, a second apart, and changes nothing; the role needs pg_monitor to see all.\n\
    Exit codes: 0 well, 1 a check at the level of --fail-at or above, 2 wrong usage or configuration, 3 the database could \
    not be reached"
)]
pub(crate) struct Arguments {
    /// The database to look at, a primary or a replica; it is not changed [otherwise: that of the configuration]
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(super) database_url: Option<String>,
    /// The console of the pooler in front of it, pgprime's or PgBouncer's: postgresql://user@host:6432/pgbouncer
    /// [otherwise: that of the configuration]
    #[arg(long, value_name = "URL", env = "PGPRIME_POOLER_URL", hide_env_values = true)]
    pub(super) pooler_url: Option<String>,
    /// The configuration [otherwise: pgprime.toml, config/pgprime.toml or /etc/pgprime/pgprime.toml, where there is one]
    #[arg(long, value_name = "FILE", env = "PGPRIME_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Look again and again until Ctrl-C; every 10 s, or as often as said here
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "0", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub(super) watch: Option<u32>,
    /// From which level on the exit code is 1
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = Level::Warning)]
    pub(super) fail_at: Level,
    /// Print one JSON document; with --watch one line for each look
    #[arg(long)]
    pub(super) json: bool,
}

/// A level of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// Somebody should look at it this week.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Level {
    pub(super) fn is_reached(self, status: Status) -> bool {
        let bound = match self {
            Self::Warning => Status::Warning,
            Self::Critical => Status::Critical,
        };
        status >= bound
    }
}

impl Arguments {
    /// The database to ask, if any; a variable that is set to nothing counts as none.
    pub(super) fn database_url(&self) -> Option<&str> {
        set(self.database_url.as_deref())
    }

    /// The pooler to ask, if any.
    pub(super) fn pooler_url(&self) -> Option<&str> {
        set(self.pooler_url.as_deref())
    }

    /// How often to look, where that is said.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.watch.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(u64::from(seconds)))
    }
}

fn set(url: Option<&str>) -> Option<&str> {
    url.filter(|url| !url.trim().is_empty())
}
