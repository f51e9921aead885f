//! A server connection, as the worker's state machine sees it.

use std::time::Instant;

use pgprime_pool::{Permit, Rest};
use pgprime_wire::backend::TransactionStatus;

use super::buffer::Output;
use super::ids::{ClientId, PoolIndex, ServerId};
use super::measure::InFlight;
use super::parameters::{Parameters, Welcome};
use super::replies::Replies;
use super::statements::{ServerStatements, StatementId};

/// A request is kept for being sent again up to this size.
const REPLAY_BYTES_MAX: usize = 16 * 1024;

/// Where and as whom a server connection is logged in: fixed at login.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// Host or socket folder.
    pub address: String,
    /// The port of the server.
    pub port: u16,
    /// Our own end's address.
    pub local_address: String,
    /// Our own end's port; 0 for a Unix socket.
    pub local_port: u16,
    /// The backend's process, as it says itself.
    pub process_id: u32,
    /// The other half of the key for cancelling what it does.
    pub cancel_secret: Vec<u8>,
    /// Version and cipher of TLS, such as `TLSv1.3/TLS_AES_256_GCM_SHA384`; empty without TLS.
    pub tls: &'static str,
}

/// A server connection that has logged in.
#[derive(Debug)]
pub struct ServerJoin {
    /// What it is.
    pub info: Box<ServerInfo>,
    /// The licence it was opened with.
    pub permit: Permit,
    /// What it reported.
    pub welcome: Welcome,
    /// When it was opened.
    pub connected_at: Instant,
    /// When its lifetime ends; at `connected_at` already: after its first use.
    pub expires_at: Option<Instant>,
}

/// What a server is doing.
///
/// - `Idle`: in the pool. → `Preparing` or `Active` when assigned.
/// - `Preparing` → `Active` when it has the client's parameters.
/// - `Active` → `Idle`, `Cleaning` or `Settling` when its client has no further use for it.
/// - `Cleaning` → `Idle` or `Settling` when the clean-up is answered.
/// - `Settling` → `Idle` when the cancel requests aimed at it have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerState {
    Idle,
    Preparing(ClientId),
    Active(ClientId),
    Cleaning,
    Settling,
}

/// Who gets the rest of a message that is not held whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remainder {
    Nothing,
    Forward(ClientId, usize),
    Swallow(usize),
}

/// What has to be undone before another client may use the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    /// A parameter was changed that does not follow the client.
    pub(crate) settings: bool,
    /// There are prepared statements whose result has another shape by now.
    pub(crate) outdated_statements: bool,
}

/// What a server is being asked for a client, or has just said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShapeCheck {
    Asked(StatementId),
    Known(StatementId),
}

/// The client's own bytes of the request in flight, for sending them again.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    bytes: Vec<u8>,
    possible: bool,
    /// Replies that the pooler wrote itself since the request began.
    pub(crate) written: u32,
    /// How many Parse and Close are still to be sent again that are answered already: nothing is left to be done for them.
    pub(crate) answered: u32,
}

impl Replay {
    pub(crate) fn begin(&mut self) {
        self.bytes.clear();
        self.possible = true;
        self.written = 0;
        self.answered = 0;
    }

    pub(crate) fn record(&mut self, message: &[u8]) {
        if self.bytes.len() + message.len() > REPLAY_BYTES_MAX {
            self.give_up();
        } else if self.possible {
            self.bytes.extend_from_slice(message);
        }
    }

    /// The client has seen part of the answer, or the request cannot be repeated.
    pub(crate) fn give_up(&mut self) {
        self.possible = false;
    }

    pub(crate) fn is_possible(&self) -> bool {
        self.possible
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.possible = false;
        std::mem::take(&mut self.bytes)
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) pool: PoolIndex,
    pub(crate) info: Box<ServerInfo>,
    /// Held for as long as the connection: its drop gives the place back.
    #[expect(dead_code, reason = "owned for its drop")]
    permit: Permit,
    pub(crate) state: ServerState,
    pub(crate) replies: Replies,
    pub(crate) in_flight: InFlight,
    pub(crate) status: TransactionStatus,
    /// Part of a message that must be read whole.
    pub(crate) input: Vec<u8>,
    pub(crate) remainder: Remainder,
    pub(crate) output: Output,
    pub(crate) parameters: Parameters,
    pub(crate) statements: ServerStatements,
    pub(crate) replay: Replay,
    /// What a client's Bind waits for.
    pub(crate) shape_check: Option<ShapeCheck>,
    /// Everything is swallowed until the request that failed on an outdated plan is over.
    pub(crate) healing: bool,
    pub(crate) traces: Traces,
    /// A client has used it since the last reset query.
    pub(crate) needs_reset: bool,
    /// A client has had it.
    pub(crate) was_used: bool,
    /// Commands of the request that is running, the SETs among them, and reports of tracked parameters.
    pub(crate) commands: u32,
    pub(crate) settings_changed: u32,
    pub(crate) settings_reported: u32,
    /// Cancel requests on their way to this server.
    pub(crate) cancels: u32,
    pub(crate) task_failed: Option<String>,
    pub(crate) connected_at: Instant,
    pub(crate) expires_at: Option<Instant>,
    /// When the request in flight was sent.
    pub(crate) request_at: Option<Instant>,
    /// When the transaction began.
    pub(crate) transaction_at: Option<Instant>,
    /// When it last became idle, or idle in a transaction.
    pub(crate) idle_since: Instant,
    /// It said something fatal, or may not be used again once its client is done.
    pub(crate) close_needed: bool,
}

impl Server {
    /// A server that has just logged in.
    pub(crate) fn new(pool: PoolIndex, join: ServerJoin, parameters: Parameters, now: Instant) -> Self {
        Self {
            pool,
            info: join.info,
            permit: join.permit,
            state: ServerState::Idle,
            replies: Replies::default(),
            in_flight: InFlight::default(),
            status: TransactionStatus::Idle,
            input: Vec::new(),
            remainder: Remainder::Nothing,
            output: Output::default(),
            parameters,
            statements: ServerStatements::default(),
            replay: Replay::default(),
            shape_check: None,
            healing: false,
            traces: Traces::default(),
            needs_reset: false,
            was_used: false,
            commands: 0,
            settings_changed: 0,
            settings_reported: 0,
            cancels: 0,
            task_failed: None,
            connected_at: join.connected_at,
            expires_at: join.expires_at,
            request_at: None,
            transaction_at: None,
            idle_since: now,
            close_needed: false,
        }
    }

    pub(crate) fn client(&self) -> Option<ClientId> {
        match self.state {
            ServerState::Preparing(client) | ServerState::Active(client) => Some(client),
            ServerState::Idle | ServerState::Cleaning | ServerState::Settling => None,
        }
    }

    /// Whether the request that is over may have set something that does not follow the client. A report accounts for a
    /// SET only where no other command, such as RESET or ROLLBACK, can have caused it.
    pub(crate) fn leaves_settings(&self) -> bool {
        self.settings_changed > 0
            && (self.settings_reported < self.settings_changed || self.commands > self.settings_changed)
    }

    pub(crate) fn rest(&self, server: ServerId) -> Rest<ServerId> {
        // A lifetime of nothing is one use.
        let expires_at =
            self.expires_at.filter(|expires_at| self.was_used || *expires_at > self.connected_at);
        Rest { server, connected_at: self.connected_at, expires_at }
    }
}
