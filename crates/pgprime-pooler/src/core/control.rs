//! What administrators and other connections ask of clients and servers.

use std::time::Instant;

use pgprime_pool::Event;
use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::frame::Header;
use pgprime_wire::tag::frontend as tag;

use super::client::{ClientState, Passing};
use super::ends::{ClientEnd, ServerEnd};
use super::ids::{ClientId, PoolIndex, ServerId};
use super::server::ServerState;
use super::state::{Core, CoreSettings, Effect};

impl Core {
    /// Cancels what the client with this key is doing, and nothing else.
    pub fn handle_cancel(&mut self, process_id: u32, secret: &[u8], now: Instant) {
        let Some(id) = self.cancel_keys.get(&process_id).copied() else { return };
        let Some(client) = self.clients.get(id) else { return };
        if client.info.cancel_secret.to_be_bytes() != *secret {
            return;
        }
        match client.state {
            ClientState::Active(server) => self.cancel_on_server(server),
            ClientState::Waiting(_) => self.cancel_waiting(id, now),
            // The server goes on to take the client's parameters, and then back to the pool.
            ClientState::Preparing(server) => {
                self.abandon(server, now);
                self.cancel_waiting(id, now);
            }
            ClientState::Idle | ClientState::LoggingIn(_) => {}
        }
        self.run_pool_actions(now);
    }

    /// The request in flight is the client's own as long as the server is linked, and the server is not given to
    /// another client before the cancel request has arrived.
    fn cancel_on_server(&mut self, id: ServerId) {
        let Some(server) = self.servers.get_mut(id) else { return };
        if server.replies.requests() > 0 || !server.replies.is_settled() {
            server.cancels += 1;
            self.effects.push_back(Effect::Cancel(server.pool, Some(id), server.info.clone()));
        }
    }

    /// A request that no server has seen yet is answered here.
    fn cancel_waiting(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let pool = client.pool;
        if let Some(ticket) = client.ticket()
            && let Some(state) = self.pools.get_mut(pool.0 as usize).and_then(Option::as_mut)
        {
            state.pool.leave(ticket);
        }
        client.state = ClientState::Idle;
        client.idle_since = now;
        let first = Header::peek(&client.input).ok().flatten();
        let is_query = first.is_some_and(|header| matches!(header.tag, tag::QUERY | tag::FUNCTION_CALL));
        if let (true, Some(header)) = (is_query, first) {
            client.passing = Passing::Discard(header.len);
        } else {
            client.skipping = true;
        }
        self.tell_client_error(id, "ERROR", "57014", "canceling statement due to user request");
        if is_query {
            self.tell_client_ready(id, TransactionStatus::Idle);
        }
        self.process_held(id, now);
    }

    /// PAUSE: hands out nothing more; servers are closed as they become free.
    pub fn pause(&mut self, pool: PoolIndex, now: Instant) {
        self.pool_event(pool, Event::Pause, now);
        self.run_pool_actions(now);
    }

    /// RESUME after PAUSE or KILL.
    pub fn resume(&mut self, pool: PoolIndex, now: Instant) {
        self.pool_event(pool, Event::Resume, now);
        self.run_pool_actions(now);
    }

    /// RECONNECT: every server is closed as soon as it is free.
    pub fn reconnect(&mut self, pool: PoolIndex, now: Instant) {
        if let Some(state) = self.pool_mut(pool) {
            state.welcome = None;
        }
        self.pool_event(pool, Event::Reconnect, now);
        self.run_pool_actions(now);
    }

    /// KILL: drops every client and server of the pool at once.
    pub fn kill_pool(&mut self, pool: PoolIndex, now: Instant) {
        let clients: Vec<ClientId> =
            self.clients.iter().filter(|(_, client)| client.pool == pool).map(|(id, _)| id).collect();
        for client in clients {
            self.end_client(client, ClientEnd::Killed, now);
        }
        let servers: Vec<ServerId> =
            self.servers.iter().filter(|(_, server)| server.pool == pool).map(|(id, _)| id).collect();
        for server in servers {
            self.end_server(server, ServerEnd::Killed, now);
        }
        self.run_pool_actions(now);
    }

    /// KILL_CLIENT; `false` when there is no such client here.
    pub fn kill_client(&mut self, id: ClientId, now: Instant) -> bool {
        let is_there = self.clients.contains_key(id);
        self.end_client(id, ClientEnd::Killed, now);
        self.run_pool_actions(now);
        is_there
    }

    /// Says goodbye to every client: immediate shutdown, or the end of a drain.
    pub fn close_all(&mut self, now: Instant) {
        let clients: Vec<ClientId> = self.clients.keys().collect();
        for client in clients {
            self.end_client(client, ClientEnd::Shutdown, now);
        }
        let servers: Vec<ServerId> = self.servers.keys().collect();
        for server in servers {
            self.end_server(server, ServerEnd::Killed, now);
        }
    }

    /// Clients here.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// Servers that serve a client or are not at rest.
    pub fn busy_server_count(&self) -> usize {
        self.servers.values().filter(|server| server.state != ServerState::Idle).count()
    }

    /// Changes what holds for all pools. Tracked parameters stay as they are.
    pub fn set_settings(&mut self, settings: CoreSettings) {
        let (tracked, measure) = (self.settings.tracked.clone(), self.settings.measure);
        self.settings = CoreSettings { tracked, measure, ..settings };
    }

    /// Servers of the pool that are open on this worker.
    pub fn server_count(&self, pool: PoolIndex) -> usize {
        self.servers.values().filter(|server| server.pool == pool).count()
    }
}
