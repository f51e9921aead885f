//! A pooler in front of the private server: configured, started, ready for clients, and measured.

use std::time::Duration;

use anyhow::Context;
use pgprime_cluster::free_port;

use crate::console_client::ConsoleClient;
use crate::machine::{cpu_time, resident_kib};
use crate::pooler_config::{Auth, PoolerConfig};
use crate::pooler_process::{PoolerCommand, PoolerProcess};
use crate::private_server::PrivateServer;
use crate::server::{Address, Server};

/// Clients a pooler admits beyond those of the load: the console and whoever looks.
const SPARE_CLIENTS: u32 = 100;
const CONSOLE_DATABASE: &str = "pgbouncer";
const CONSOLE_PATIENCE: Duration = Duration::from_secs(10);

/// What a pooler is started with.
#[derive(Clone, Debug)]
pub(crate) struct PoolerSetup<'a> {
    pub(crate) command: &'a PoolerCommand,
    pub(crate) pool_size: u32,
    /// Clients of the load.
    pub(crate) clients: u32,
    pub(crate) auth: Auth,
}

/// A pooler that accepts clients. It ends with this value.
#[derive(Debug)]
pub(crate) struct RunningPooler {
    process: PoolerProcess,
    application: Server,
}

impl RunningPooler {
    /// Starts a pooler and waits until its console answers.
    pub(crate) fn start(server: &PrivateServer, setup: &PoolerSetup<'_>) -> anyhow::Result<Self> {
        let port = free_port();
        let folder = server.folder(&format!("pooler-{port}"))?;
        let application = server.as_application().with_address(Address::loopback(port));
        let config = PoolerConfig {
            folder: folder.clone(),
            listen_port: port,
            server_host: server.socket_dir().to_owned(),
            server_port: server.port(),
            database: application.database.clone(),
            users: server.pooler_users(),
            pool_size: setup.pool_size,
            clients_max: setup.clients + SPARE_CLIENTS,
            auth: setup.auth,
        };
        let process = PoolerProcess::start(setup.command, &config.write()?, &folder.join("log"))?;
        let mut pooler = Self { process, application };
        let console = pooler.console();
        pooler.process.wait_ready(|| ConsoleClient::connect(&console, Some(CONSOLE_PATIENCE)).map(drop))?;
        Ok(pooler)
    }

    /// The application's login through the pooler.
    pub(crate) fn as_application(&self) -> &Server {
        &self.application
    }

    /// The login to the pooler's console.
    pub(crate) fn console(&self) -> Server {
        self.application.with_database(CONSOLE_DATABASE)
    }

    /// The address of the console, for the user who may use it.
    pub(crate) fn console_url(&self) -> String {
        let console = self.console();
        match &console.address {
            Address::Tcp(address) => format!("postgres://{}@{address}/{}", console.user, console.database),
            Address::Unix(path) => {
                format!("postgres://{}@/{}?host={}", console.user, console.database, path.display())
            }
        }
    }

    /// What the pooler says its version is. pgprime names PgBouncer first, for the sake of tools, and itself after it.
    pub(crate) fn version(&self) -> Option<String> {
        let mut console = ConsoleClient::connect(&self.console(), Some(CONSOLE_PATIENCE)).ok()?;
        let told = console.query("SHOW VERSION").ok()?.first().map(str::to_owned)?;
        let own = told.split_once('(').and_then(|(_, own)| own.strip_suffix(')')).map(str::to_owned);
        Some(own.filter(|own| own.starts_with("pgprime")).unwrap_or(told))
    }

    /// The process id of the pooler.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Resident memory now, in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        resident_kib(self.pid()).with_context(|| self.gone())
    }

    /// CPU time used so far.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        cpu_time(self.pid()).with_context(|| self.gone())
    }

    fn gone(&self) -> String {
        format!("the pooler is gone; it logged:\n{}", self.process.log_tail())
    }
}
