//! The state itself, and the few primitives every part of the state machine uses.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgprime_pool::{Action, Board, Budget, Permit, Pool, PoolSettings, WorkerIndex};
use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::backend::encode::{self, ErrorNotice};
use slotmap::SlotMap;

use super::buffer::{BufferPool, Output};
use super::client::{Client, ClientInfo};
use super::ids::{ClientId, PoolIndex, ServerId};
use super::measure::{MeasureSettings, Measures};
use super::parameters::{Parameters, Tracked, Welcome};
use super::server::{Server, ServerInfo};
use super::statements::Registry;
use super::stats::Counters;

/// When a server is taken from its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// When the client disconnects.
    Session,
    /// At the end of each transaction.
    Transaction,
    /// At the end of each statement; transactions are refused.
    Statement,
}

/// What holds for one pool. A zero duration switches that limit off.
#[derive(Clone, Debug)]
pub struct PoolProfile {
    /// The database's name, as clients ask for it.
    pub database: String,
    /// The user the servers are logged in as.
    pub user: String,
    /// When servers are taken back.
    pub mode: Mode,
    /// Sizes and times of the pool.
    pub pool: PoolSettings,
    /// `query_timeout`.
    pub query_timeout: Duration,
    /// `idle_transaction_timeout`.
    pub idle_transaction_timeout: Duration,
    /// `transaction_timeout`.
    pub transaction_timeout: Duration,
    /// `client_idle_timeout`.
    pub client_idle_timeout: Duration,
    /// `server_reset_query`; empty for none.
    pub reset_query: String,
    /// `server_reset_query_always`.
    pub reset_always: bool,
    /// `connect_query`, to be run again when a server's settings were reset.
    pub connect_query: Option<String>,
    /// `server_check_query`, sent to a server that has rested for `check_delay` before it is used; empty for none.
    pub check_query: String,
    /// `server_check_delay`.
    pub check_delay: Duration,
    /// Whether `min_pool_size` holds without clients, because the database's user is fixed.
    pub always_warm: bool,
}

/// The value of `server_check_query` that asks for an empty query.
const EMPTY_QUERY: &str = "<empty>";

impl PoolProfile {
    /// The query that shows whether a server still answers after so long a rest.
    pub(crate) fn check_if_due(&self, rested: Duration) -> Option<String> {
        let is_due = !self.check_query.is_empty() && rested >= self.check_delay;
        let query = if self.check_query == EMPTY_QUERY { "" } else { &self.check_query };
        is_due.then(|| if query.is_empty() { String::new() } else { format!("{query};") })
    }
}

/// A pool as the worker gets to know it.
#[derive(Debug)]
pub struct PoolSetup {
    /// The pool's number, the same on every worker.
    pub index: PoolIndex,
    /// What holds for it.
    pub profile: Arc<PoolProfile>,
    /// The limits it counts against.
    pub budget: Budget,
    /// Where its workers tell each other who waits.
    pub board: Arc<Board>,
}

/// What holds for all pools.
#[derive(Clone, Debug)]
pub struct CoreSettings {
    /// `max_prepared_statements`; 0 leaves prepared statements alone.
    pub prepared_statements_max: usize,
    /// `max_packet_size`: the largest message accepted from a client.
    pub message_bytes_max: usize,
    /// `pkt_buf`: the capacity a new buffer starts with.
    pub buffer_bytes: usize,
    /// `query_wait_notify`; zero for never.
    pub wait_notify: Duration,
    /// `log_disconnections`.
    pub log_disconnections: bool,
    /// Which parameters follow the client.
    pub tracked: Tracked,
    /// What is measured of statements. Stays as it is at the start.
    pub measure: MeasureSettings,
}

/// A client that has logged in.
#[derive(Debug)]
pub struct ClientJoin {
    /// The pool it uses.
    pub pool: PoolIndex,
    /// Who it is.
    pub info: Box<ClientInfo>,
    /// The tracked parameters of its startup message.
    pub parameters: Parameters,
    /// When it connected.
    pub connected_at: Instant,
}

/// A server on its way to another worker.
#[derive(Debug)]
pub struct LentServer {
    pub(crate) server: Box<Server>,
    /// What the pool's servers report: the other worker may not have seen one of them yet.
    pub(crate) welcome: Option<Welcome>,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Effect {
    /// Write what is left, as far as that goes at once, and close.
    CloseClient(ClientId, Output),
    /// Write what is left, as far as that goes at once, and close.
    CloseServer(ServerId, Output),
    /// Open a server connection.
    Connect(PoolIndex, Permit),
    /// Ask the database to cancel what a server is doing; then call [`Core::handle_cancel_sent`].
    Cancel(PoolIndex, Option<ServerId>, Box<ServerInfo>),
    /// Hand an idle server over to another worker.
    Lend(ServerId, LentServer, WorkerIndex),
    /// Ask another worker for an idle server of this pool.
    Ask(PoolIndex, WorkerIndex),
    /// Bytes that were left in the client's socket may be read now.
    ReadClient(ClientId),
    /// Bytes that were left in the server's socket may be read now.
    ReadServer(ServerId),
}

/// One pool on one worker.
#[derive(Debug)]
pub(crate) struct PoolState {
    pub(crate) pool: Pool<ClientId, ServerId>,
    pub(crate) profile: Arc<PoolProfile>,
    /// What new clients are told, once a server has shown it.
    pub(crate) welcome: Option<Welcome>,
    pub(crate) defaults: Parameters,
    pub(crate) clients: usize,
    pub(crate) counters: Counters,
    /// Why the last connection could not be opened.
    pub(crate) connect_error: Option<String>,
}

/// One worker's clients, servers and pools.
#[derive(Debug)]
pub struct Core {
    pub(crate) worker: WorkerIndex,
    pub(crate) settings: CoreSettings,
    pub(crate) clients: SlotMap<ClientId, Client>,
    pub(crate) servers: SlotMap<ServerId, Server>,
    pub(crate) pools: Vec<Option<PoolState>>,
    pub(crate) buffers: BufferPool,
    pub(crate) registry: Registry,
    pub(crate) measures: Measures,
    pub(crate) cancel_keys: HashMap<u32, ClientId>,
    pub(crate) next_cancel: u32,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) pool_actions: VecDeque<(PoolIndex, Action<ClientId, ServerId>)>,
    pub(crate) scratch_actions: Vec<Action<ClientId, ServerId>>,
    pub(crate) dirty_clients: Vec<ClientId>,
    pub(crate) dirty_servers: Vec<ServerId>,
}

impl Core {
    /// An empty worker.
    pub fn new(worker: WorkerIndex, settings: CoreSettings) -> Self {
        let buffers = BufferPool::new(settings.buffer_bytes);
        let measures = Measures::new(settings.measure);
        Self {
            worker,
            settings,
            clients: SlotMap::with_key(),
            servers: SlotMap::with_key(),
            pools: Vec::new(),
            buffers,
            registry: Registry::new(worker.0),
            measures,
            cancel_keys: HashMap::new(),
            next_cancel: 0,
            effects: VecDeque::new(),
            pool_actions: VecDeque::new(),
            scratch_actions: Vec::new(),
            dirty_clients: Vec::new(),
            dirty_servers: Vec::new(),
        }
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Clients that have output since the last call.
    pub fn take_dirty_clients(&mut self, into: &mut Vec<ClientId>) {
        into.append(&mut self.dirty_clients);
    }

    /// Servers that have output since the last call.
    pub fn take_dirty_servers(&mut self, into: &mut Vec<ServerId>) {
        into.append(&mut self.dirty_servers);
    }

    /// What is to be written to a client.
    pub fn client_output(&self, id: ClientId) -> &[u8] {
        self.clients.get(id).map_or(&[], |client| client.output.bytes())
    }

    /// What is to be written to a server.
    pub fn server_output(&self, id: ServerId) -> &[u8] {
        self.servers.get(id).map_or(&[], |server| server.output.bytes())
    }

    pub(crate) fn pool(&self, index: PoolIndex) -> Option<&PoolState> {
        self.pools.get(index.0 as usize)?.as_ref()
    }

    pub(crate) fn pool_mut(&mut self, index: PoolIndex) -> Option<&mut PoolState> {
        self.pools.get_mut(index.0 as usize)?.as_mut()
    }

    /// Appends to what a client gets, and notes that it has something to be written.
    pub(crate) fn tell_client(&mut self, id: ClientId, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.output.is_empty() {
            self.dirty_clients.push(id);
        }
        write(client.output.writer(&mut self.buffers));
    }

    /// Appends to what a server gets, and notes that it has something to be written.
    pub(crate) fn tell_server(&mut self, id: ServerId, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(server) = self.servers.get_mut(id) else { return };
        if server.output.is_empty() {
            self.dirty_servers.push(id);
        }
        write(server.output.writer(&mut self.buffers));
    }

    pub(crate) fn tell_client_ready(&mut self, id: ClientId, status: TransactionStatus) {
        self.tell_client(id, |out| encode::ready_for_query(out, status));
    }

    pub(crate) fn tell_client_error(&mut self, id: ClientId, severity: &str, sqlstate: &str, message: &str) {
        let notice = ErrorNotice { severity, sqlstate, message, detail: None, hint: None, routine: None };
        self.tell_client(id, |out| encode::error_response(out, &notice));
    }
}
