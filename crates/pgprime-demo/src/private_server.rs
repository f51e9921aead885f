//! The private PostgreSQL of a demo or benchmark, with a database and a role for the application.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pgprime_cluster::{Cluster, ClusterOptions};

use crate::console_client::ConsoleClient;
use crate::server::{Address, Server};

/// Connections the private server takes.
pub(crate) const SERVER_CONNECTIONS_MAX: u32 = 100;
const APP_USER: &str = "app";
const APP_PASSWORD: &str = "insurance-demo";
const ADMIN_USER: &str = "postgres";

/// A running PostgreSQL that ends with this value.
#[derive(Debug)]
pub(crate) struct PrivateServer {
    cluster: Cluster,
    database: String,
    /// What PostgreSQL stores of the application's password.
    verifier: String,
}

impl PrivateServer {
    /// Starts PostgreSQL and makes the database and its owner.
    pub(crate) fn start(database: &str) -> anyhow::Result<Self> {
        let options = ClusterOptions::default()
            .with_setting("max_connections", SERVER_CONNECTIONS_MAX.to_string())
            .with_setting("shared_buffers", "512MB")
            .with_setting("maintenance_work_mem", "256MB")
            .with_setting("max_wal_size", "4GB")
            // Durability is off anyway; a checkpoint in the middle of a measurement would only disturb it.
            .with_setting("checkpoint_timeout", "30min")
            .with_setting("jit", "off");
        let cluster = Cluster::start(&options).context("starting a private PostgreSQL")?;
        let mut server = Self { cluster, database: database.to_owned(), verifier: String::new() };
        let mut admin = ConsoleClient::connect(&server.as_admin(), None)?;
        admin.query(&format!("CREATE ROLE {APP_USER} LOGIN PASSWORD '{APP_PASSWORD}'"))?;
        // The dashboard shows what all sessions are doing.
        admin.query(&format!("GRANT pg_monitor TO {APP_USER}"))?;
        admin.query(&format!("CREATE DATABASE {database} OWNER {APP_USER}"))?;
        let stored =
            admin.query(&format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{APP_USER}'"))?;
        server.verifier = stored.first().context("the role has no password")?.to_owned();
        Ok(server)
    }

    /// The application's login over TCP.
    pub(crate) fn as_application(&self) -> Server {
        Server {
            address: Address::loopback(self.port()),
            user: APP_USER.to_owned(),
            password: Some(APP_PASSWORD.to_owned()),
            database: self.database.clone(),
        }
    }

    /// The superuser's login over the Unix socket.
    pub(crate) fn as_admin(&self) -> Server {
        let socket = self.socket_dir().join(format!(".s.PGSQL.{}", self.port()));
        Server {
            address: Address::Unix(socket),
            user: ADMIN_USER.to_owned(),
            password: None,
            database: "postgres".to_owned(),
        }
    }

    /// The superuser's address of the application's database.
    pub(crate) fn url(&self) -> String {
        self.cluster.primary().url(&self.database)
    }

    /// The application's address of its database.
    pub(crate) fn application_url(&self) -> String {
        format!("postgres://{APP_USER}:{APP_PASSWORD}@127.0.0.1:{}/{}", self.port(), self.database)
    }

    /// Adds those of the extensions that are installed to the application's database.
    pub(crate) fn add_extensions(&self, names: &[&str]) -> anyhow::Result<()> {
        let mut admin = ConsoleClient::connect(&self.as_admin().with_database(&self.database), None)?;
        for name in names {
            let known = admin
                .query(&format!("SELECT count(*) FROM pg_available_extensions WHERE name = '{name}'"))?;
            if known.first() == Some("1") {
                admin.query(&format!("CREATE EXTENSION IF NOT EXISTS {name}"))?;
            }
        }
        Ok(())
    }

    /// Lets no statement in the application's database take more than one core, from the next connection on.
    pub(crate) fn keep_to_one_core(&self) -> anyhow::Result<()> {
        let mut admin = ConsoleClient::connect(&self.as_admin(), None)?;
        admin.query(&format!("ALTER DATABASE {} SET max_parallel_workers_per_gather = 0", self.database))?;
        Ok(())
    }

    /// Name and stored password of the application's user, for a pooler's list of users.
    pub(crate) fn pooler_users(&self) -> Vec<(String, String)> {
        vec![(APP_USER.to_owned(), self.verifier.clone())]
    }

    pub(crate) fn port(&self) -> u16 {
        self.cluster.primary().port()
    }

    pub(crate) fn socket_dir(&self) -> &Path {
        self.cluster.primary().socket_dir()
    }

    /// The release, such as `15.4`.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        let mut admin = ConsoleClient::connect(&self.as_admin(), None)?;
        Ok(admin.query("SHOW server_version")?.first().unwrap_or_default().to_owned())
    }

    /// Makes a folder that is removed together with the server. Every user may use it: a pooler may run as another.
    pub(crate) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.cluster.dir().join(name);
        std::fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777))
            .with_context(|| format!("opening {} to all", folder.display()))?;
        Ok(folder)
    }
}
