//! A client connection, as the worker's state machine sees it.

use std::time::Instant;

use pgprime_pool::Ticket;
use pgprime_wire::frame::Header;

use super::buffer::Output;
use super::ids::{PoolIndex, ServerId};
use super::measure::ClientMeasure;
use super::parameters::Parameters;
use super::statements::ClientStatements;

/// Who a client is: fixed at login.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    /// Address and port, or `unix`.
    pub address: String,
    /// The port of `address`; 0 for a Unix socket.
    pub port: u16,
    /// The address the client connected to.
    pub local_address: String,
    /// The port the client connected to.
    pub local_port: u16,
    /// The name it logged in with.
    pub user: String,
    /// The database it asked for.
    pub database: String,
    /// The other half of the key for cancelling its queries.
    pub cancel_secret: u32,
    /// The process at the other end of a Unix socket; 0 when unknown.
    pub remote_pid: u32,
    /// Version and cipher of TLS, such as `TLSv1.3/TLS_AES_256_GCM_SHA384`; empty without TLS.
    pub tls: &'static str,
}

/// What a client is doing.
///
/// - `LoggingIn` → `Idle` once the pool has shown its parameters, or closed.
/// - `Idle` → `Waiting` or `Active` with the first message of a request.
/// - `Waiting` → `Preparing` or `Active` when a server is free; `Idle` when cancelled; closed on timeout.
/// - `Preparing` → `Active` when the server has the client's parameters.
/// - `Active` → `Idle` at the end of a transaction (transaction pooling) or never (session pooling).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientState {
    LoggingIn(Ticket),
    Idle,
    Waiting(Ticket),
    Preparing(ServerId),
    Active(ServerId),
}

/// The rest of a message that is handled without being held whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    Nothing,
    /// So many bytes go on to the server.
    Forward(usize),
    /// So many bytes go nowhere.
    Discard(usize),
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) pool: PoolIndex,
    pub(crate) info: Box<ClientInfo>,
    pub(crate) state: ClientState,
    pub(crate) cancel_pid: u32,
    /// Bytes that were read and could not be handled yet: part of a message, or a request waiting for a server.
    pub(crate) input: Vec<u8>,
    pub(crate) passing: Passing,
    /// After an error the pooler gave itself: everything up to Sync is ignored.
    pub(crate) skipping: bool,
    pub(crate) output: Output,
    pub(crate) parameters: Parameters,
    pub(crate) statements: Option<Box<ClientStatements>>,
    pub(crate) connected_at: Instant,
    /// When it began to wait, or sent its last request.
    pub(crate) request_at: Instant,
    /// When it became idle.
    pub(crate) idle_since: Instant,
    pub(crate) notified: bool,
    pub(crate) measured: ClientMeasure,
}

impl Client {
    pub(crate) fn server(&self) -> Option<ServerId> {
        match self.state {
            ClientState::Preparing(server) | ClientState::Active(server) => Some(server),
            ClientState::LoggingIn(_) | ClientState::Idle | ClientState::Waiting(_) => None,
        }
    }

    pub(crate) fn ticket(&self) -> Option<Ticket> {
        match self.state {
            ClientState::LoggingIn(ticket) | ClientState::Waiting(ticket) => Some(ticket),
            _ => None,
        }
    }

    /// Whether bytes that come in can be handled now.
    pub(crate) fn takes_input(&self) -> bool {
        matches!(self.state, ClientState::Idle | ClientState::Active(_))
    }

    /// Whether a whole message has been read and waits to be handled.
    pub(crate) fn holds_message(&self) -> bool {
        Header::peek(&self.input).ok().flatten().is_some_and(|header| self.input.len() >= header.len)
    }

    pub(crate) fn statements_mut(&mut self) -> &mut ClientStatements {
        self.statements.get_or_insert_default()
    }
}
