//! The state of one worker as plain data: console, REST, metrics and dashboard are fed from it.

use std::time::{Duration, Instant};

use slotmap::Key as _;

use super::client::{Client, ClientInfo, ClientState};
use super::ids::PoolIndex;
use super::server::{Server, ServerInfo, ServerState};
use super::state::{Core, Mode};
use super::stats::Counters;

/// One pool on one worker.
#[derive(Clone, Debug)]
pub struct PoolRow {
    /// The pool's number.
    pub index: PoolIndex,
    /// Database as clients ask for it.
    pub database: String,
    /// User the servers log in as.
    pub user: String,
    /// When servers are taken back.
    pub mode: Mode,
    /// Clients with a server, or idle.
    pub clients_active: usize,
    /// Clients that wait for a server.
    pub clients_waiting: usize,
    /// Servers with a client.
    pub servers_active: usize,
    /// Servers kept from the pool until a cancel request has arrived.
    pub servers_being_cancelled: usize,
    /// Servers at rest.
    pub servers_idle: usize,
    /// Servers being cleaned.
    pub servers_tested: usize,
    /// Servers logging in.
    pub servers_login: usize,
    /// Servers that are closed as soon as their clients are done with them.
    pub servers_to_close: usize,
    /// How long the first in the queue has waited.
    pub wait_max: Duration,
    /// Whether PAUSE is in force.
    pub paused: bool,
    /// Why the last connection could not be opened, until one could.
    pub connect_error: Option<String>,
    /// What has been added up.
    pub counters: Counters,
}

/// One client.
#[derive(Clone, Debug)]
pub struct ClientRow {
    /// A number for KILL_CLIENT, unique on the worker.
    pub id: u64,
    /// Who it is.
    pub info: ClientInfo,
    /// `active`, `waiting` or `idle`.
    pub state: &'static str,
    /// How long ago it connected.
    pub connected_for: Duration,
    /// How long ago it sent its last request.
    pub request_for: Duration,
    /// How long it has waited for a server, if it does.
    pub waited: Duration,
    /// Its server.
    pub link: Option<u64>,
    /// What it calls itself.
    pub application_name: String,
    /// Named statements it has.
    pub prepared_statements: usize,
}

/// One server.
#[derive(Clone, Debug)]
pub struct ServerRow {
    /// A number unique on the worker.
    pub id: u64,
    /// Where it is.
    pub info: ServerInfo,
    /// The pool's database.
    pub database: String,
    /// Who it is logged in as.
    pub user: String,
    /// `active`, `idle`, `tested` or `being_canceled`.
    pub state: &'static str,
    /// How long ago it was opened.
    pub connected_for: Duration,
    /// How long ago it was last used.
    pub request_for: Duration,
    /// Its client.
    pub link: Option<u64>,
    /// What its session is called.
    pub application_name: String,
    /// Statements it has prepared.
    pub prepared_statements: usize,
    /// Whether it is closed at the end of its client's use.
    pub close_needed: bool,
}

/// All of one worker.
#[derive(Clone, Debug, Default)]
pub struct WorkerSnapshot {
    /// Its pools.
    pub pools: Vec<PoolRow>,
    /// Its clients.
    pub clients: Vec<ClientRow>,
    /// Its servers.
    pub servers: Vec<ServerRow>,
}

impl Core {
    /// The pools only: cheap enough to be asked for every second.
    pub fn snapshot_pools(&self, now: Instant) -> WorkerSnapshot {
        let rows = (0u32..).map(PoolIndex).zip(&self.pools);
        let mut pools: Vec<PoolRow> = rows
            .filter_map(|(index, state)| state.as_ref().map(|_| self.pool_row(index, now)))
            .flatten()
            .collect();
        self.count_servers(&mut pools);
        WorkerSnapshot { pools, ..WorkerSnapshot::default() }
    }

    /// Everything.
    pub fn snapshot(&self, now: Instant) -> WorkerSnapshot {
        let clients =
            self.clients.iter().map(|(id, client)| self.client_row(id.data().as_ffi(), client, now));
        let servers =
            self.servers.iter().map(|(id, server)| self.server_row(id.data().as_ffi(), server, now));
        WorkerSnapshot { clients: clients.collect(), servers: servers.collect(), ..self.snapshot_pools(now) }
    }

    fn pool_row(&self, index: PoolIndex, now: Instant) -> Option<PoolRow> {
        let state = self.pool(index)?;
        let counts = state.pool.counts();
        Some(PoolRow {
            index,
            database: state.profile.database.clone(),
            user: state.profile.user.clone(),
            mode: state.profile.mode,
            clients_active: state.clients.saturating_sub(counts.waiting),
            clients_waiting: counts.waiting,
            servers_active: 0,
            servers_being_cancelled: 0,
            servers_idle: counts.idle,
            servers_tested: 0,
            servers_login: counts.connecting,
            servers_to_close: 0,
            wait_max: state
                .pool
                .oldest_waiter()
                .map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            paused: state.pool.is_paused(),
            connect_error: state.connect_error.clone(),
            counters: state.counters,
        })
    }

    fn count_servers(&self, pools: &mut [PoolRow]) {
        for server in self.servers.values() {
            let Some(row) = pools.iter_mut().find(|row| row.index == server.pool) else { continue };
            row.servers_to_close += usize::from(self.is_to_close(server));
            match server.state {
                ServerState::Active(_) | ServerState::Preparing(_) => row.servers_active += 1,
                ServerState::Cleaning => row.servers_tested += 1,
                ServerState::Settling => row.servers_being_cancelled += 1,
                ServerState::Idle => {}
            }
        }
    }

    fn is_to_close(&self, server: &Server) -> bool {
        server.close_needed
            || self.pool(server.pool).is_some_and(|state| state.pool.is_stale(server.connected_at))
    }

    fn client_row(&self, id: u64, client: &Client, now: Instant) -> ClientRow {
        let is_waiting = client.ticket().is_some();
        let application =
            self.settings.tracked.index("application_name").and_then(|i| client.parameters.value(i));
        ClientRow {
            id,
            info: (*client.info).clone(),
            state: match client.state {
                ClientState::LoggingIn(_) => "waiting_login",
                ClientState::Waiting(_) => "waiting",
                ClientState::Idle => "idle",
                ClientState::Preparing(_) | ClientState::Active(_) => "active",
            },
            connected_for: now.saturating_duration_since(client.connected_at),
            request_for: now.saturating_duration_since(client.request_at),
            waited: if is_waiting {
                now.saturating_duration_since(client.request_at)
            } else {
                Duration::ZERO
            },
            link: client.server().map(|server| server.data().as_ffi()),
            application_name: application.unwrap_or_default().to_string(),
            prepared_statements: client.statements.as_ref().map_or(0, |statements| statements.len()),
        }
    }

    fn server_row(&self, id: u64, server: &Server, now: Instant) -> ServerRow {
        let profile = self.pool(server.pool).map(|state| &state.profile);
        let application =
            self.settings.tracked.index("application_name").and_then(|i| server.parameters.value(i));
        ServerRow {
            id,
            info: (*server.info).clone(),
            database: profile.map(|profile| profile.database.clone()).unwrap_or_default(),
            user: profile.map(|profile| profile.user.clone()).unwrap_or_default(),
            state: match server.state {
                ServerState::Idle => "idle",
                ServerState::Preparing(_) | ServerState::Active(_) => "active",
                ServerState::Cleaning => "tested",
                ServerState::Settling => "being_canceled",
            },
            connected_for: now.saturating_duration_since(server.connected_at),
            request_for: now.saturating_duration_since(server.request_at.unwrap_or(server.idle_since)),
            link: server.client().map(|client| client.data().as_ffi()),
            application_name: application.unwrap_or_default().to_string(),
            prepared_statements: server.statements.len(),
            close_needed: self.is_to_close(server),
        }
    }
}
