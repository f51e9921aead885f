//! What must hold after every step, and at the end.

use std::collections::BTreeMap;
use std::time::Instant;

use pgprime_pooler::core::{Core, Measured, MeasuredPage, MeasuredPart};
use pgprime_wire::backend::TransactionStatus;

use crate::client::Life;
use crate::sql::Sql;
use crate::world::World;

/// Rounds in which everything moves, after which nobody may be waiting any more.
const ROUNDS_MAX: usize = 2_000;

impl World {
    pub(crate) fn check(&mut self) {
        self.check_budgets();
        self.check_ends();
        if self.plan.watches_queues {
            self.check_queues();
        }
    }

    /// Connections that exist or are being opened, counted from the outside.
    fn check_budgets(&self) {
        let mut databases: BTreeMap<&str, u32> = BTreeMap::new();
        let mut users: BTreeMap<&str, u32> = BTreeMap::new();
        for (place, plan) in self.plan.pools.iter().enumerate() {
            let open = self.servers.iter().filter(|server| server.pool == place && !server.closed).count();
            let connecting = self.connecting.iter().filter(|connecting| connecting.pool == place).count();
            let count = (open + connecting) as u32;
            assert_eq!(self.budgets[place].pool.used(), count, "connections of pool {place} and its budget");
            let max = plan.size + plan.profile.pool.reserve_size;
            assert!(count <= max, "pool {place} has {count} connections of {max}");
            *databases.entry(&plan.profile.database).or_default() += count;
            *users.entry(&plan.profile.user).or_default() += count;
        }
        for (counts, max) in [(databases, self.plan.database_max), (users, self.plan.user_max)] {
            assert!(
                max == 0 || counts.values().all(|count| *count <= max),
                "{counts:?} with a limit of {max}"
            );
        }
    }

    /// A client is only sent away for a reason.
    fn check_ends(&self) {
        for client in &self.clients {
            let Life::Dismissed(sqlstate) = &client.life else { continue };
            let profile = &self.plan.pools[client.pool].profile;
            let is_justified = match sqlstate.as_str() {
                "08006" => self.happened.servers_lost > 0,
                "57P01" => self.happened.servers_said > 0 || self.happened.kills > 0,
                "08001" => self.happened.connects_failed > 0,
                "08P01" => client.misbehaved,
                "0A000" => profile.mode == pgprime_pooler::core::Mode::Statement,
                "22023" => client.reported.is_empty() || client.oracle.settings["TimeZone"] == "refused",
                "57014" => !profile.query_timeout.is_zero() || !profile.pool.wait_timeout.is_zero(),
                "57P05" => !profile.client_idle_timeout.is_zero(),
                "25P03" => !profile.idle_transaction_timeout.is_zero(),
                "25P04" => !profile.transaction_timeout.is_zero(),
                _ => false,
            };
            assert!(is_justified, "client {} was sent away with {sqlstate}", client.number);
        }
    }

    /// Clients are served in the order in which they came, and no server idles while one waits.
    fn check_queues(&mut self) {
        for worker in 0..self.cores.len() {
            let snapshot = self.cores[worker].snapshot(self.now);
            for pool in &snapshot.pools {
                assert!(
                    pool.servers_idle == 0 || pool.clients_waiting == 0 || pool.paused,
                    "a server of pool {} idles on worker {worker} while a client waits",
                    pool.index
                );
                let plan = &self.plan.pools[pool.index.0 as usize].profile;
                let of_pool = |user: &str, database: &str| user == plan.user && database == plan.database;
                let clients =
                    snapshot.clients.iter().filter(|row| of_pool(&row.info.user, &row.info.database));
                let (mut waiting, mut active) = (BTreeMap::new(), Vec::new());
                for row in clients {
                    match row.state {
                        "waiting" => drop(waiting.insert(row.id, self.now - row.waited)),
                        "active" => active.push(row.id),
                        _ => {}
                    }
                }
                let before = self.queues.insert((worker, pool.index.0), waiting.clone()).unwrap_or_default();
                check_order(&before, &waiting, &active);
            }
        }
    }

    /// What a server has executed since the last look.
    pub(crate) fn check_executed(&mut self, place: usize) {
        let server = &mut self.servers[place];
        let process_id = server.process_id;
        let after = server.backend.status;
        for executed in std::mem::take(&mut server.backend.log) {
            let Some(number) = Sql::client(&executed.id) else { continue };
            let request = Sql::request(&executed.id).expect("an id names a request");
            let is_new_user = server.user != Some(number);
            assert!(self.executed.insert(executed.id.clone()), "{} was executed twice", executed.id);
            if is_new_user {
                assert!(executed.begins, "{} found another client's transaction", executed.id);
                assert!(
                    executed.hidden.is_empty(),
                    "{} found settings of another client: {:?}",
                    executed.id,
                    executed.hidden
                );
            }
            server.user = Some(number);
            if let Some(other) = self.transactions.get(&number) {
                assert_eq!(*other, process_id, "client {number} has its transaction on another server");
            }
            let client = self.clients.iter_mut().find(|client| client.number == number);
            if let Some(client) = client.filter(|_| executed.is_simple) {
                assert!(client.last_executed < request, "{} after {}", executed.id, client.last_executed);
                client.last_executed = request;
            }
        }
        if let Some(user) = server.user.filter(|_| !server.closed) {
            if after == TransactionStatus::Idle {
                self.transactions.retain(|client, process| (*client, *process) != (user, process_id));
            } else {
                self.transactions.insert(user, process_id);
            }
        }
    }

    /// What a client has been told of its settings is what they are.
    pub(crate) fn check_reported(&mut self, place: usize) {
        let client = &self.clients[place];
        for (name, value) in &client.oracle.settings {
            assert_eq!(client.reported.get(name), Some(value), "client {} was told of {name}", client.number);
        }
    }

    pub(crate) fn check_progress(&mut self, round: usize) {
        if round < ROUNDS_MAX {
            return;
        }
        let now = self.now;
        for client in self.clients.iter_mut().filter(|client| !client.closed) {
            let answered = client.is_answered();
            eprintln!(
                "client {} on worker {}: {:?}, answered {answered}, half a message {}, {} outgoing, {} incoming, blocked {} {}, oracle {:?}",
                client.number,
                client.worker,
                client.life,
                client.has_half_a_message(),
                client.outgoing.len(),
                client.incoming.len(),
                client.read_blocked,
                client.write_blocked,
                client.oracle.out,
            );
        }
        for core in &self.cores {
            let snapshot = core.snapshot(now);
            for row in &snapshot.clients {
                eprintln!("  {} {} {:?}", row.info.remote_pid, row.state, row.link);
            }
            for row in &snapshot.servers {
                eprintln!("  server {} {} {:?}", row.info.process_id, row.state, row.link);
            }
            snapshot.pools.iter().for_each(|row| eprintln!("  {row:?}"));
        }
        panic!("somebody waits for ever");
    }

    /// Without clients every server is idle, and nothing is left to be written.
    pub(crate) fn check_all_at_rest(&self) {
        for core in &self.cores {
            assert_eq!(core.client_count(), 0);
            assert_eq!(
                core.busy_server_count(),
                0,
                "servers of nobody: {:#?}",
                core.snapshot(self.now).servers
            );
        }
        for server in self.servers.iter().filter(|server| !server.closed) {
            let output = self.cores[server.worker].server_output(server.id);
            assert!(output.is_empty(), "bytes for server {} are left", server.process_id);
            assert_eq!(server.backend.status, TransactionStatus::Idle);
            assert!(server.backend.hidden.is_empty(), "{:?}", server.backend.hidden);
        }
    }

    /// Every execution is counted once, for its statement as well as for its application and user.
    pub(crate) fn check_measured(&self) {
        let (mut calls, mut requests) = (0, 0);
        for core in &self.cores {
            let (mut statements, mut sources) = ([0; 3], [0; 3]);
            for row in pages(core, MeasuredPart::Statements).flat_map(|page| page.statements) {
                add(&mut statements, &row.measured);
                assert!(!row.text.contains("zone "), "a constant is in {}", row.text);
            }
            for row in pages(core, MeasuredPart::Users).flat_map(|page| page.names) {
                add(&mut sources, &row.measured);
            }
            assert_eq!(statements, sources, "calls, errors, microseconds");
            calls += statements[0];
            let snapshot = core.snapshot_pools(self.now);
            requests += snapshot.pools.iter().map(|pool| pool.counters.queries).sum::<u64>();
        }
        if self.plan.is_simple {
            // A request executes something once, unless it is a Sync. What was lost is an execution without an answer.
            let lost = u64::from(self.next_client);
            assert!(calls <= requests + lost, "{calls} calls, {requests} requests");
            assert!(calls > 0 || self.executed.is_empty());
        }
    }

    pub(crate) fn check_nothing_is_left(&self) {
        for budget in &self.budgets {
            assert_eq!((budget.pool.used(), budget.database.used(), budget.user.used()), (0, 0, 0));
        }
    }
}

fn pages(core: &Core, part: MeasuredPart) -> impl Iterator<Item = MeasuredPage> + '_ {
    let mut from = Some(0);
    std::iter::from_fn(move || {
        let page = core.measured_page(part, from?);
        from = page.next;
        Some(page)
    })
}

fn add(sum: &mut [u64; 3], measured: &Measured) {
    let figures = [measured.calls(), measured.errors(), measured.exec_us()];
    sum.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
}

/// Nobody who waited before and waits still came before one who was served meanwhile.
fn check_order(before: &BTreeMap<u64, Instant>, waiting: &BTreeMap<u64, Instant>, active: &[u64]) {
    for (client, since) in active.iter().filter_map(|id| before.get_key_value(id)) {
        let overtaken = waiting.iter().find(|(id, began)| before.get(id) == Some(began) && *began < since);
        assert_eq!(overtaken, None, "{client} came at {since:?} and was served first");
    }
}
