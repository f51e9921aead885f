//! What can go wrong with the pooler as a whole.

use std::io;

use crate::settings::ConfigError;
use crate::tls::TlsError;
use crate::userlist::UserlistError;

/// Why the pooler could not start or reload.
#[derive(Debug, thiserror::Error)]
pub enum PoolerError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of users.
    #[error(transparent)]
    Userlist(#[from] UserlistError),
    /// A socket to listen on.
    #[error("cannot listen on {address}: {source}; is another pooler running there?")]
    Listen {
        /// The address or path.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Neither an address nor a socket folder is set.
    #[error("nothing to listen on: set listen_addr or unix_socket_dir")]
    NothingToListenOn,
    /// Certificates, keys and what else TLS needs.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `unix_socket_group` names no group.
    #[error("unix_socket_group: there is no group {0:?} on this system")]
    Group(String),
    /// The operating system refused what the pooler cannot do without.
    #[error("cannot start {step}: {source}")]
    System {
        /// What was to be started.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}
