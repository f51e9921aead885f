//! The options of the command.

use clap::{Args, Subcommand};

/// Options of everything about the result cache.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: pgprime cache triggers --all-of insurance --install --database-url postgresql://user:password@host:5432/database\n\
    Exit codes: 0 well, 1 a table is not heard, 2 wrong usage or refused by the database, 3 the database could not be reached"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) what: What,
    /// The database with the tables; on its primary
    #[arg(long, global = true, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum What {
    /// Triggers that say which tables are changed by programs that do not use pgprime's library; without one of --install,
    /// --remove and --print, tell which tables have them
    Triggers(Tables),
    /// A publication by which the server itself says which tables are changed, by logical decoding; without one of --install,
    /// --remove and --print, tell which tables are in it
    Publication(Publication),
}

/// Which tables, what to do with them, and what of them is sent.
#[derive(Clone, Debug, Args)]
pub(super) struct Publication {
    #[command(flatten)]
    pub(super) tables: Tables,
    /// Send the keys of changed rows instead of all columns (version 15 or newer): less to send, and whoever changes a key has to
    /// take its table out first
    #[arg(long, conflicts_with = "remove")]
    pub(super) keys_only: bool,
}

/// Which tables, and what to do with them.
#[derive(Clone, Debug, Args)]
pub(super) struct Tables {
    /// Tables as SQL writes them, such as insurance.quotes; partitions are included [otherwise: all that have it]
    #[arg(value_name = "TABLE")]
    pub(super) names: Vec<String>,
    /// All tables of a schema
    #[arg(long, value_name = "SCHEMA", conflicts_with = "names")]
    pub(super) all_of: Option<String>,
    #[command(flatten)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
struct Action {
    /// Make it where it is missing
    #[arg(long)]
    install: bool,
    /// Take it away
    #[arg(long)]
    remove: bool,
    /// Print the SQL that makes it, and do nothing
    #[arg(long)]
    print: bool,
}

/// What to do with the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Tell,
    Install,
    Remove,
    Print,
}

impl Tables {
    pub(super) fn wish(&self) -> Wish {
        match self.action {
            Action { install: true, .. } => Wish::Install,
            Action { remove: true, .. } => Wish::Remove,
            Action { print: true, .. } => Wish::Print,
            _ => Wish::Tell,
        }
    }
}

impl Arguments {
    /// The database to ask, if any; a variable that is set to nothing counts as none.
    pub(super) fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.trim().is_empty())
    }
}
