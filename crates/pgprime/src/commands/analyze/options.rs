//! The options of the command.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

const HELP_DATABASE: &str = "Database";

/// Options of the look at one statement.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["statement", "query_id", "plan"])))]
#[command(
    after_help = "Example: pgprime analyze \"SELECT * FROM orders WHERE customer = $1\" --param 42 --execute\n\
    The statement is only planned, unless --execute is given; what changes data is never executed. Parameters without\n\
    values get samples of what their columns hold.\n\
    Exit codes: 0 well, 1 a problem that takes 40 % of the whole or more, 2 wrong usage or a statement that is refused,\n\
    3 the database could not be reached"
)]
pub(crate) struct Arguments {
    /// The statement to explain
    #[arg(value_name = "STATEMENT", allow_hyphen_values = true)]
    pub(super) statement: Option<String>,
    /// Explain the statement that has this number in pg_stat_statements
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    pub(super) query_id: Option<i64>,
    /// Read a plan that EXPLAIN printed, as text or JSON, from a file or from standard input (-); needs no database
    #[arg(long, value_name = "FILE", conflicts_with_all = ["params", "execute"])]
    pub(super) plan: Option<PathBuf>,

    /// The value of the next parameter, beginning with $1, as PostgreSQL reads it; \N stands for NULL
    #[arg(long = "param", id = "params", value_name = "VALUE", allow_hyphen_values = true)]
    pub(super) params: Vec<String>,
    /// Execute it, if that is safe, in a transaction that is rolled back, and show what really happens
    #[arg(long)]
    pub(super) execute: bool,
    /// Execute it even as a superuser, whom privileges keep from nothing
    #[arg(long, requires = "execute")]
    pub(super) as_superuser: bool,

    /// The database; it is not changed
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true, help_heading = HELP_DATABASE)]
    pub(super) database_url: Option<String>,
    /// Milliseconds that the statement may take
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..), default_value = "30000", help_heading = HELP_DATABASE)]
    pub(super) timeout_ms: u32,

    /// The console of a pooler that captures parameters (pgprime pooler --capture-parameters-ms), for one of its
    /// administrators: the statement gets values that it was slow with
    #[arg(long, value_name = "URL", env = "PGPRIME_POOLER_URL", hide_env_values = true, help_heading = HELP_DATABASE)]
    pub(super) pooler_url: Option<String>,

    /// Print plan and problems as one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    /// The database to ask, if any; a variable that is set to nothing counts as none.
    pub(super) fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.trim().is_empty())
    }

    /// The pooler's console, if any; a variable that is set to nothing counts as none.
    pub(super) fn pooler_url(&self) -> Option<&str> {
        self.pooler_url.as_deref().filter(|url| !url.trim().is_empty())
    }

    /// The values of parameters; `\N` is NULL, as in COPY.
    pub(super) fn parameters(&self) -> Vec<Option<String>> {
        self.params.iter().map(|value| (value != "\\N").then(|| value.clone())).collect()
    }
}
