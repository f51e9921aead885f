//! Where the private PostgreSQL listens, also for the processes that measure memory.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use pgprime_cluster::Node;

const DIRECTORY: &str = "POOL_BENCH_SOCKET_DIR";
const PORT: &str = "POOL_BENCH_PORT";

/// A Unix socket of PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) port: u16,
}

impl Place {
    pub(crate) const DATABASE: &str = "postgres";
    pub(crate) const USER: &str = "postgres";

    pub(crate) fn of(node: &Node) -> Self {
        Self { directory: node.socket_dir().to_owned(), port: node.port() }
    }

    /// What [`Place::tell`] told this process.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        let unset = "--waiting is for pool-bench itself; run it without";
        let port = env::var(PORT).ok().and_then(|text| text.parse().ok()).context(unset)?;
        Ok(Self { directory: env::var_os(DIRECTORY).context(unset)?.into(), port })
    }

    pub(crate) fn tell(&self, command: &mut Command) {
        command.env(DIRECTORY, &self.directory).env(PORT, self.port.to_string());
    }

    /// As libpq's keywords.
    pub(crate) fn keywords(&self) -> String {
        let quoted = self.directory.display().to_string().replace('\\', r"\\").replace('\'', r"\'");
        format!("host='{quoted}' port={} user={} dbname={}", self.port, Self::USER, Self::DATABASE)
    }

    /// For tokio-postgres.
    pub(crate) fn driver(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.directory).port(self.port).user(Self::USER).dbname(Self::DATABASE);
        config
    }
}
