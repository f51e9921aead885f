//! Where to connect, and as whom.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The address of a PostgreSQL server or pooler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// A port of 127.0.0.1.
    pub fn loopback(port: u16) -> Self {
        Self::Tcp(SocketAddr::from(([127, 0, 0, 1], port)))
    }
}

/// A server or pooler, and the login there.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: Address,
    /// The user to log in as.
    pub user: String,
    /// The password, where one is asked for (SCRAM-SHA-256).
    pub password: Option<String>,
    /// The database to log in to.
    pub database: String,
}

impl Server {
    /// The same login, to another database of the same server.
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The same login, at another address.
    pub fn with_address(&self, address: Address) -> Self {
        Self { address, ..self.clone() }
    }
}
