//! The options of the command.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pgprime_views::ViewName;

/// Options of everything about materialized views.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: pgprime views plan --database-url postgresql://user:password@host:5432/database\n\
    Views are declared as [[views]] in the configuration. A view that is not declared is never changed.\n\
    Exit codes: 0 well, 1 something is to be done or went wrong, 2 wrong usage or configuration, 3 the database could \
    not be reached"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) what: What,
    /// The configuration with the declarations [otherwise: pgprime.toml, config/pgprime.toml or /etc/pgprime/pgprime.toml,
    /// where there is one]
    #[arg(long, global = true, value_name = "FILE", env = "PGPRIME_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The database with the views; on its primary [otherwise: that of the configuration]
    #[arg(long, global = true, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The Redis that instances share results in: it is told of changed views
    #[arg(long, global = true, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum What {
    /// Tell what apply would do, with its SQL; exit code 1 if that is anything
    Plan,
    /// Create and change views as declared, without an interruption for those who read them
    Apply,
    /// Tell how fresh the views are, what is next, and whether they are worth what they cost
    Status,
    /// Print what an admin dashboard shows: the admin pool, freshness of views, cache hit rates, and the figures that
    /// [[figures]] declare; exit code 1 if anything of it cannot be had
    Metrics,
    /// Refresh views now; without names those that are due
    Refresh {
        /// Names of views, as admin.daily_quotes
        #[arg(value_name = "NAME", value_parser = ViewName::parse)]
        names: Vec<ViewName>,
    },
    /// Tell what refreshes did in the past
    History {
        /// Only of this view
        #[arg(value_name = "NAME", value_parser = ViewName::parse)]
        name: Option<ViewName>,
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: u32,
    },
    /// Find aggregations in pg_stat_statements that are expensive and repeated, and write views for them
    Suggest {
        /// Only what the history says was executed since: 15m, 24h, 7d, today, or a time [otherwise: all since the last reset]
        #[arg(long, value_name = "WHEN")]
        since: Option<String>,
        /// The file of the history [otherwise: pgprime/history.sqlite below $XDG_STATE_HOME or ~/.local/state]
        #[arg(long, value_name = "FILE", requires = "since")]
        history: Option<PathBuf>,
        /// A statement with its constants, which pg_stat_statements does not keep; may be given several times
        #[arg(long = "statement", value_name = "SQL")]
        statements: Vec<String>,
        /// Statements whose mean is less than this are passed over
        #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..), default_value = "20")]
        threshold_ms: u32,
    },
    /// Print the declaration of a view that is there already; without a name list those that are
    Adopt {
        /// Name of a view
        #[arg(value_name = "NAME", value_parser = ViewName::parse)]
        name: Option<ViewName>,
    },
}

impl What {
    /// Whether it is about views that are declared: nothing can be done without a configuration.
    pub(super) fn needs_declarations(&self) -> bool {
        match self {
            Self::Plan | Self::Apply | Self::Status | Self::Metrics => true,
            Self::Refresh { names } => names.is_empty(),
            Self::History { .. } | Self::Suggest { .. } | Self::Adopt { .. } => false,
        }
    }
}

impl Arguments {
    /// The database to ask, if any; a variable that is set to nothing counts as none.
    pub(super) fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.trim().is_empty())
    }

    /// The Redis to tell, if any.
    pub(super) fn redis_url(&self) -> Option<&str> {
        self.redis_url.as_deref().filter(|url| !url.trim().is_empty())
    }
}
