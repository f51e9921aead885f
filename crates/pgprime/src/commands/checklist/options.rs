//! The options of the command.

use std::path::PathBuf;

use clap::Args;
use pgprime_capacity::postgres::Storage;
use pgprime_planner::hardware::Hardware;

use crate::amount;

/// Options of the checklist.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: pgprime checklist --database-url postgresql://user:password@host:5432/database --memory 64GB\n\
    Changes nothing; the role needs pg_monitor to see all. Cores, memory and storage are found out where the database is on \
    this machine. What only a running pgprime knows, such as its alerts, it is asked for.\n\
    Exit codes: 0 nothing is not met, 1 something is not met, 2 wrong usage, 3 the database, or a pooler or pgprime that was \
    named, could not be reached"
)]
pub(crate) struct Arguments {
    /// The database to look at; it is not changed [otherwise: that of the configuration]
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The console of the pooler in front of it, pgprime's or PgBouncer's: postgresql://user@host:6432/pgbouncer
    /// [otherwise: that of the configuration]
    #[arg(long, value_name = "URL", env = "PGPRIME_POOLER_URL", hide_env_values = true)]
    pooler_url: Option<String>,
    /// The configuration [otherwise: pgprime.toml, config/pgprime.toml or /etc/pgprime/pgprime.toml, where there is one]
    #[arg(long, value_name = "FILE", env = "PGPRIME_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The running pgprime [otherwise: where [api] of the configuration has it listen]
    #[arg(long, value_name = "URL", env = "PGPRIME_API_URL")]
    api_url: Option<String>,
    /// A token for it, where it wants one
    #[arg(long, value_name = "TOKEN", env = "PGPRIME_API_TOKEN", hide_env_values = true)]
    api_token: Option<String>,
    /// Memory of the database's machine, such as 64GB
    #[arg(long, value_name = "SIZE", value_parser = amount::bytes)]
    memory: Option<u64>,
    /// Cores of the database's machine
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=8_192))]
    cores: Option<u32>,
    /// What the data is on: nvme, ssd, hdd or network
    #[arg(long, value_name = "KIND", value_parser = storage)]
    storage: Option<Storage>,
    /// Print only the SQL that mends what is not met, for psql, with the reasons as comments
    #[arg(long, conflicts_with = "json")]
    pub(super) fix_sql: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

fn storage(text: &str) -> Result<Storage, String> {
    text.parse().map_err(|_| "give nvme, ssd, hdd or network".to_owned())
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

    /// The running pgprime, if somebody has named it.
    pub(super) fn api_url(&self) -> Option<&str> {
        set(self.api_url.as_deref())
    }

    /// Its token, if it wants one.
    pub(super) fn api_token(&self) -> Option<&str> {
        set(self.api_token.as_deref())
    }

    /// What is stated of the machine.
    pub(super) fn machine(&self) -> Hardware {
        Hardware { cores: self.cores, memory_bytes: self.memory, storage: self.storage }
    }
}

fn set(url: Option<&str>) -> Option<&str> {
    url.filter(|url| !url.trim().is_empty())
}
