//! From a client's last use of a server to the server's place in the pool: a server goes back clean or not at all.

use std::time::Instant;

use pgprime_pool::Event;
use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::frontend::encode;

use super::client::ClientState;
use super::ends::{ClientEnd, ServerEnd};
use super::ids::{ClientId, ServerId};
use super::replies::{Owner, Reply, Task};
use super::server::{Server, ServerState, Traces};
use super::state::{Core, Effect, Mode, PoolProfile};
use super::stats::micros;

/// Brings back every setting, but neither prepared statements nor temporary tables.
const RESET_SETTINGS: &str = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL";

impl Core {
    /// The client keeps its connection and has no further use for the server.
    pub(super) fn release(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        if let Some(client) = server.client().and_then(|client| self.clients.get_mut(client)) {
            client.state = ClientState::Idle;
            client.idle_since = now;
        }
        self.clean(id, now);
    }

    /// Takes the server from its client when a transaction has ended and the pool's mode says so.
    pub(super) fn release_if_over(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get(id) else { return };
        let is_over = matches!(server.state, ServerState::Active(_))
            && server.status == TransactionStatus::Idle
            && server.replies.is_settled();
        if is_over && !self.is_session_pool(server.pool) && !self.is_amid_message(id) {
            self.release(id, now);
        }
    }

    /// The client is gone or is to go: nothing of it may stay behind on the server.
    pub(super) fn abandon(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let was_preparing = matches!(server.state, ServerState::Preparing(_));
        server.state = ServerState::Cleaning;
        if was_preparing && !server.replies.is_settled() {
            // The answer to our own request is on its way; it ends the clean-up.
            return;
        }
        if server.replies.is_settled() && !server.close_needed && server.output.is_empty() {
            self.clean(id, now);
            return;
        }
        if !server.replies.is_settled() {
            // Nobody waits for the result any more.
            let (pool, info) = (server.pool, server.info.clone());
            self.effects.push_back(Effect::Cancel(pool, None, info));
        }
        self.end_server(id, ServerEnd::Unclean, now);
    }

    /// Sends whatever makes the server clean; when that is nothing, it is done.
    fn clean(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let Some(pool) = self.pools.get(server.pool.0 as usize).and_then(Option::as_ref) else { return };
        if server.close_needed {
            self.end_server(id, ServerEnd::Unclean, now);
            return;
        }
        let queries = cleanup(server, &pool.profile);
        if queries.is_empty() {
            self.put_back(id, now);
            return;
        }
        server.state = ServerState::Cleaning;
        server.traces = Traces::default();
        server.needs_reset = false;
        for _ in &queries {
            server.replies.push(Owner::Pooler(Task::Cleanup), Reply::Query);
        }
        server.statements.set_unnamed(None);
        self.tell_server(id, |out| {
            for query in &queries {
                encode::query(out, query.as_bytes());
            }
        });
    }

    /// A request of the pooler's own has been answered.
    pub(super) fn task_done(&mut self, id: ServerId, task: Task, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let failed = server.task_failed.take();
        match (task, server.state, failed) {
            (Task::Statement | Task::Shape | Task::Heal, _, _) => {}
            // The client keeps its place: it gets another server.
            (Task::Check, _, Some(reason)) => self.end_server(id, ServerEnd::CheckFailed(reason), now),
            (Task::Check, ServerState::Preparing(client), None) if server.replies.is_settled() => {
                self.prepared(id, client, now);
            }
            (Task::Check, ServerState::Preparing(_), None) => {}
            (Task::Parameters, ServerState::Preparing(client), None) => self.prepared(id, client, now),
            (Task::Parameters, ServerState::Preparing(client), Some(reason)) => {
                self.end_client(client, ClientEnd::ParameterRefused(reason), now);
            }
            (_, ServerState::Cleaning, None) => {
                if server.replies.is_settled() {
                    self.clean(id, now);
                }
            }
            (_, _, Some(reason)) => self.end_server(id, ServerEnd::CleanupFailed(reason), now),
            (_, _, None) => {}
        }
    }

    /// The server has the client's parameters: the client's request can go.
    fn prepared(&mut self, id: ServerId, client_id: ClientId, now: Instant) {
        let (Some(server), Some(client)) = (self.servers.get_mut(id), self.clients.get_mut(client_id)) else {
            return;
        };
        // The server's spelling of a value is the one it will report.
        client.parameters = server.parameters.clone();
        self.activate(id, client_id, now);
    }

    pub(super) fn activate(&mut self, id: ServerId, client_id: ClientId, now: Instant) {
        let (Some(server), Some(client)) = (self.servers.get_mut(id), self.clients.get_mut(client_id)) else {
            return;
        };
        // Most need not wait.
        let has_waited = client.request_at != now;
        let wait_us = if has_waited { micros(now.saturating_duration_since(client.request_at)) } else { 0 };
        server.in_flight.begin_use(wait_us);
        server.state = ServerState::Active(client_id);
        server.was_used = true;
        server.idle_since = now;
        client.state = ClientState::Active(id);
        self.process_held(client_id, now);
    }

    /// The server is clean. It waits for cancel requests that are still on their way to it, so that they cannot hit
    /// the next client's query.
    pub(super) fn put_back(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        if server.cancels > 0 {
            server.state = ServerState::Settling;
            return;
        }
        server.state = ServerState::Idle;
        server.idle_since = now;
        server.request_at = None;
        server.transaction_at = None;
        let (pool, rest) = (server.pool, server.rest(id));
        self.pool_event(pool, Event::Released(rest), now);
    }

    /// The database has taken a cancel request aimed at this server.
    pub fn handle_cancel_sent(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.cancels = server.cancels.saturating_sub(1);
        if server.cancels == 0 && server.state == ServerState::Settling {
            self.put_back(id, now);
        }
        self.run_pool_actions(now);
    }
}

/// The queries that make a server clean, in order.
fn cleanup(server: &Server, profile: &PoolProfile) -> Vec<String> {
    let mut queries = Vec::new();
    if server.status != TransactionStatus::Idle {
        queries.push("ROLLBACK".to_string());
    }
    let resets = profile.mode == Mode::Session || profile.reset_always;
    if resets && server.needs_reset && !profile.reset_query.is_empty() {
        queries.push(profile.reset_query.clone());
        queries.extend(profile.connect_query.clone());
    } else if server.traces.settings {
        queries.push(RESET_SETTINGS.to_string());
        queries.extend(profile.connect_query.clone());
    }
    if server.traces.outdated_statements {
        queries.push("DEALLOCATE ALL".to_string());
    }
    queries
}
