//! Where to connect, and as whom.

use std::fmt;
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

/// A server or pooler, and the login there. `Debug` does not show the password.
#[derive(Clone)]
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

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, user, database, .. } = self;
        let mut fields = formatter.debug_struct("Server");
        fields
            .field("address", address)
            .field("user", user)
            .field("database", database)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let server = Server {
            address: Address::loopback(1),
            user: "app".into(),
            password: Some("secret".into()),
            database: "db".into(),
        };
        assert!(!format!("{server:?}").contains("secret"));
        assert_eq!(server.with_database("other").database, "other");
    }
}
