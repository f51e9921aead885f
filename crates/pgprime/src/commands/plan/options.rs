//! The options of the command.

use std::path::PathBuf;

use clap::Args;
use pgprime_capacity::postgres::Storage;

use super::values::{decimal, storage, version, whole};
use crate::amount;

const HELP_LOAD: &str = "Load";
const HELP_LIMITS: &str = "Database";
const HELP_WISHES: &str = "What is asked of the plan";
const HELP_OUTPUT: &str = "Output";

/// Options of the planner. What is given here wins over what the database says.
#[derive(Clone, Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(
    after_help = "Example: pgprime plan --rps 1000 --service-ms 20 --db-max-connections 100 --instances 5\n\
    Exit codes: 0 well, 1 the load is more than the database can carry, 2 wrong usage, 3 the database could not be \
    reached"
)]
pub(crate) struct Arguments {
    /// Requests per second to expect
    #[arg(long, value_name = "NUMBER", value_parser = decimal, allow_hyphen_values = true, help_heading = HELP_LOAD)]
    pub(super) rps: Option<f64>,
    /// Requests per second at the busiest moment
    #[arg(long, value_name = "NUMBER", value_parser = decimal, allow_hyphen_values = true, help_heading = HELP_LOAD)]
    pub(super) peak_rps: Option<f64>,
    /// Milliseconds that a request holds its connection on average [otherwise: measured, or 20]
    #[arg(long, value_name = "MS", value_parser = decimal, allow_hyphen_values = true, help_heading = HELP_LOAD)]
    pub(super) service_ms: Option<f64>,
    /// Milliseconds that 95 of 100 requests stay below
    #[arg(long, value_name = "MS", value_parser = decimal, allow_hyphen_values = true, help_heading = HELP_LOAD)]
    pub(super) service_p95_ms: Option<f64>,
    /// Instances of the application [otherwise: 1]
    #[arg(long, value_name = "COUNT", value_parser = whole, help_heading = HELP_LOAD)]
    pub(super) instances: Option<u32>,
    /// Concurrent users
    #[arg(long, value_name = "COUNT", value_parser = whole, default_value = "10000", help_heading = HELP_LOAD)]
    pub(super) users: u32,

    /// A database to read limits, load, settings and users from; it is not changed
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true, help_heading = HELP_LIMITS)]
    pub(super) database_url: Option<String>,
    /// max_connections of the database [otherwise: read, or 100]
    #[arg(long, value_name = "COUNT", value_parser = whole, help_heading = HELP_LIMITS)]
    pub(super) db_max_connections: Option<u32>,
    /// Connections that the database keeps for superusers [otherwise: read, or 3]
    #[arg(long, value_name = "COUNT", value_parser = whole, help_heading = HELP_LIMITS)]
    pub(super) db_reserved_connections: Option<u32>,
    /// Cores of the database's machine
    #[arg(long, value_name = "COUNT", value_parser = whole, help_heading = HELP_LIMITS)]
    pub(super) cores: Option<u32>,
    /// Memory of the database's machine, such as 64GB or 512MB
    #[arg(long, value_name = "SIZE", value_parser = amount::bytes, help_heading = HELP_LIMITS)]
    pub(super) memory: Option<u64>,
    /// What the data is on: nvme, ssd, hdd or network
    #[arg(long, value_name = "KIND", value_parser = storage, help_heading = HELP_LIMITS)]
    pub(super) storage: Option<Storage>,
    /// Version of PostgreSQL, such as 15
    #[arg(long, value_name = "VERSION", value_parser = version, help_heading = HELP_LIMITS)]
    pub(super) pg_version: Option<u32>,
    /// There is a read replica
    #[arg(long, help_heading = HELP_LIMITS)]
    pub(super) replica: bool,

    /// The fraction of max_connections that the service may use
    #[arg(long, value_name = "FRACTION", value_parser = decimal, allow_hyphen_values = true, default_value = "0.8", help_heading = HELP_WISHES)]
    pub(super) safety_margin: f64,
    /// Milliseconds that 99 of 100 requests may wait for a connection [otherwise: one service time]
    #[arg(long, value_name = "MS", value_parser = decimal, allow_hyphen_values = true, help_heading = HELP_WISHES)]
    pub(super) p99_wait_ms: Option<f64>,
    /// Evaluate this size of the pool instead of calculating one
    #[arg(long, value_name = "COUNT", value_parser = whole, help_heading = HELP_WISHES)]
    pub(super) pool_size: Option<u32>,

    /// Write the files that carry the plan out to DIR/config
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".", help_heading = HELP_OUTPUT)]
    pub(super) write: Option<PathBuf>,
    /// Draw the waiting time over the size of the pool as SVG
    #[arg(long, value_name = "FILE", help_heading = HELP_OUTPUT)]
    pub(super) svg: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long, help_heading = HELP_OUTPUT)]
    pub(super) force: bool,
    /// Run this load through the pooler on a private PostgreSQL, and print the predicted wait beside the measured one
    #[arg(long, help_heading = HELP_OUTPUT)]
    pub(super) verify: bool,
    /// Seconds of that load
    #[arg(long, value_name = "COUNT", value_parser = whole, default_value = "30", help_heading = HELP_OUTPUT)]
    pub(super) verify_seconds: u32,
    /// Print the plan as one JSON document
    #[arg(long, help_heading = HELP_OUTPUT)]
    pub(super) json: bool,
}

impl Arguments {
    /// The database to ask, if any; a variable that is set to nothing counts as none.
    pub(super) fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.trim().is_empty())
    }
}
