//! The options of the command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Options of running everything.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: DATABASE_URL=postgresql://app:password@127.0.0.1:5432/insurance pgprime run\n\
    Applications connect to the pooler (port 6432), people look at http://127.0.0.1:8000, programs ask \
    http://127.0.0.1:8000/api/v1/monitoring/…\n\
    SIGHUP reads the pooler's settings again. SIGTERM waits until clients have gone, a second one does not; SIGINT ends when no transaction is open.\n\
    Exit codes: 0 ended as asked, 2 wrong usage or configuration"
)]
pub(crate) struct Arguments {
    /// The configuration [otherwise: pgprime.toml, config/pgprime.toml or /etc/pgprime/pgprime.toml, where there is one]
    #[arg(long, value_name = "FILE", env = "PGPRIME_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The database itself, not a pooler in front of it
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(super) database_url: Option<String>,
    /// Where REST and dashboard listen [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<SocketAddr>,
    /// The port of the pooler [default: 6432]
    #[arg(long, value_name = "PORT")]
    pub(super) pooler_port: Option<u16>,
    /// Do without the built-in pooler
    #[arg(long)]
    pub(super) no_pooler: bool,
    /// Where histories are kept [default: pgprime below $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FOLDER")]
    pub(super) state: Option<PathBuf>,
    /// Do not log to standard error
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Log more; twice for even more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}
