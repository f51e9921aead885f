//! What happens because time passes.

use std::time::{Duration, Instant};

use pgprime_pool::{Demand, Event};
use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::backend::encode::{self, ErrorNotice};

use super::client::ClientState;
use super::ends::ClientEnd;
use super::ids::{ClientId, PoolIndex};
use super::server::{Server, ServerState};
use super::state::{Core, PoolProfile};

impl Core {
    /// To be called several times a second: timeouts, lifetimes, minimum sizes, new attempts to connect.
    pub fn handle_tick(&mut self, now: Instant) {
        self.measures.begin(now);
        for place in 0..self.pools.len() {
            let Some(Some(state)) = self.pools.get(place) else { continue };
            let in_use = state.clients > 0 || state.profile.always_warm;
            let demand = if in_use { Demand::InUse } else { Demand::Unused };
            if let Ok(index) = u32::try_from(place) {
                self.pool_event(PoolIndex(index), Event::Tick(demand), now);
            }
        }
        self.run_pool_actions(now);
        for (client, end) in self.overdue_on_servers(now) {
            self.end_client(client, end, now);
        }
        self.run_pool_actions(now);
    }

    /// To be called about once a second: it looks at every client.
    pub fn handle_slow_tick(&mut self, now: Instant) {
        let idle: Vec<ClientId> =
            self.clients.iter().filter(|(id, _)| self.is_idle_too_long(*id, now)).map(|(id, _)| id).collect();
        for client in idle {
            self.end_client(client, ClientEnd::IdleTimeout, now);
        }
        if !self.settings.wait_notify.is_zero() {
            self.notify_waiting(now);
        }
        self.run_pool_actions(now);
    }

    fn is_idle_too_long(&self, id: ClientId, now: Instant) -> bool {
        let Some(client) = self.clients.get(id) else { return false };
        let timeout = self.pool(client.pool).map_or(Duration::ZERO, |pool| pool.profile.client_idle_timeout);
        let is_at_rest = match client.state {
            ClientState::Idle => true,
            // In session pooling an idle client has a server.
            ClientState::Active(server) => {
                self.is_session_pool(client.pool)
                    && self.servers.get(server).is_some_and(|server| {
                        server.status == TransactionStatus::Idle && server.replies.is_settled()
                    })
            }
            _ => false,
        };
        let since = match client.server().and_then(|server| self.servers.get(server)) {
            Some(server) => server.idle_since,
            None => client.idle_since,
        };
        is_at_rest && is_over(timeout, Some(since), now)
    }

    fn overdue_on_servers(&self, now: Instant) -> Vec<(ClientId, ClientEnd)> {
        let overdue = self.servers.values().filter_map(|server| {
            let ServerState::Active(client) = server.state else { return None };
            let profile = &self.pool(server.pool)?.profile;
            Some((client, overdue(server, profile, now)?))
        });
        overdue.collect()
    }

    /// Tells clients that wait for long why nothing happens.
    fn notify_waiting(&mut self, now: Instant) {
        let wait_notify = self.settings.wait_notify;
        let waiting: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|(_, client)| {
                matches!(client.state, ClientState::Waiting(_))
                    && !client.notified
                    && is_over(wait_notify, Some(client.request_at), now)
            })
            .map(|(id, _)| id)
            .collect();
        for id in waiting {
            if let Some(client) = self.clients.get_mut(id) {
                client.notified = true;
            }
            let notice = ErrorNotice {
                severity: "NOTICE",
                sqlstate: "00000",
                message: "No server connection available in postgres backend, client being queued",
                detail: None,
                hint: None,
                routine: None,
            };
            self.tell_client(id, |out| encode::notice_response(out, &notice));
        }
    }
}

fn overdue(server: &Server, profile: &PoolProfile, now: Instant) -> Option<ClientEnd> {
    let is_running = server.request_at.is_some();
    let idle_in_transaction = server.status != TransactionStatus::Idle && !is_running;
    if is_over(profile.query_timeout, server.request_at, now) {
        Some(ClientEnd::QueryTimeout)
    } else if idle_in_transaction && is_over(profile.idle_transaction_timeout, Some(server.idle_since), now) {
        Some(ClientEnd::IdleTransactionTimeout)
    } else if is_over(profile.transaction_timeout, server.transaction_at, now) {
        Some(ClientEnd::TransactionTimeout)
    } else {
        None
    }
}

fn is_over(timeout: Duration, since: Option<Instant>, now: Instant) -> bool {
    !timeout.is_zero() && since.is_some_and(|since| now.saturating_duration_since(since) >= timeout)
}
