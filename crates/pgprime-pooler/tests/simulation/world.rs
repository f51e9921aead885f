//! The world around the state machines: sockets, the network between them, time, and who decides what happens next.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pgprime_pool::{Board, Budget, Failure, Limit, Permit, WorkerIndex};
use pgprime_pooler::core::{
    ClientId, ClientInfo, ClientJoin, Core, Effect, LentServer, Output, Parameters, PoolIndex, PoolSetup,
    ServerId, ServerInfo, ServerJoin, Welcome,
};

use crate::backend::{Backend, Database, Settings};
use crate::client::{FakeClient, Life};
use crate::plan::{Plan, Theme};
use crate::script::Writer;
use crate::server::FakeServer;

const TICK: Duration = Duration::from_millis(100);

/// A connection that is being opened.
#[derive(Debug)]
pub(crate) struct Connecting {
    pub(crate) worker: usize,
    pub(crate) pool: usize,
    permit: Permit,
}

/// A letter from one worker to another.
#[derive(Debug)]
pub(crate) enum Letter {
    Lent { server: usize, lent: LentServer, to: usize },
    Asked { pool: PoolIndex, by: usize, to: usize },
}

/// A cancel request on its way to the database.
#[derive(Debug)]
pub(crate) struct CancelRequest {
    pub(crate) worker: usize,
    pub(crate) server: Option<ServerId>,
    pub(crate) process_id: u32,
    pub(crate) secret: Vec<u8>,
    /// The client that asked; `None` when the pooler did of its own accord.
    pub(crate) asked_by: Option<u32>,
}

/// What went wrong so far, so that a client may have been told so.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    pub(crate) servers_lost: usize,
    pub(crate) servers_said: usize,
    pub(crate) connects_failed: usize,
    pub(crate) kills: usize,
}

/// What has been seen in a run, so that a simulation in which nothing happens is noticed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) executed: usize,
    pub(crate) cancelled: usize,
    pub(crate) lent: usize,
    pub(crate) outdated: usize,
    /// Outdated statements that a client got to know of.
    pub(crate) unhealed: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.executed += other.executed;
        self.cancelled += other.cancelled;
        self.lent += other.lent;
        self.outdated += other.outdated;
        self.unhealed += other.unhealed;
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    pub(crate) now: Instant,
    next_tick: Instant,
    ticks: u32,
    pub(crate) cores: Vec<Core>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) clients: Vec<FakeClient>,
    pub(crate) servers: Vec<FakeServer>,
    pub(crate) connecting: Vec<Connecting>,
    pub(crate) letters: Vec<Letter>,
    pub(crate) cancels: Vec<CancelRequest>,
    dirty_clients: Vec<(usize, ClientId)>,
    dirty_servers: Vec<(usize, ServerId)>,
    pub(crate) database: Database,
    pub(crate) paused: HashSet<usize>,
    /// Connections cannot be opened for now.
    pub(crate) unreachable: Option<Failure>,
    pub(crate) happened: Happened,
    pub(crate) executed: HashSet<String>,
    pub(crate) tally: Tally,
    /// Clients in a transaction, and the server on which it runs.
    pub(crate) transactions: HashMap<u32, u32>,
    /// Who waits since when, by worker and pool.
    pub(crate) queues: BTreeMap<(usize, u32), BTreeMap<u64, Instant>>,
    pub(crate) next_client: u32,
    next_process: u32,
    /// The client whose cancel request is being handled.
    canceller: Option<u32>,
    tracing: bool,
}

impl World {
    pub(crate) fn new(theme: Theme, seed: u64, tracing: bool) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ theme as u64);
        let plan = Plan::new(theme, &mut rng);
        let now = Instant::now();
        let cores = (0..plan.workers).map(|worker| Core::new(WorkerIndex(worker as u16), plan.core.clone()));
        let defaults = [
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO, MDY"),
            ("client_encoding", "UTF8"),
            ("standard_conforming_strings", "on"),
            ("application_name", ""),
        ];
        let database = Database {
            defaults: defaults.map(|(name, value)| (name.to_string(), value.to_string())).into(),
            schema: Rc::new(Cell::new(0)),
            reports_early: plan.reports_early,
        };
        let mut world = Self {
            cores: cores.collect(),
            plan,
            rng,
            now,
            next_tick: now + TICK,
            ticks: 0,
            budgets: Vec::new(),
            clients: Vec::new(),
            servers: Vec::new(),
            connecting: Vec::new(),
            letters: Vec::new(),
            cancels: Vec::new(),
            dirty_clients: Vec::new(),
            dirty_servers: Vec::new(),
            database,
            paused: HashSet::new(),
            unreachable: None,
            happened: Happened::default(),
            executed: HashSet::new(),
            tally: Tally::default(),
            transactions: HashMap::new(),
            queues: BTreeMap::new(),
            next_client: 0,
            next_process: 1_000,
            canceller: None,
            tracing,
        };
        world.trace(|world| format!("{:#?}", world.plan));
        world.add_pools();
        world
    }

    fn add_pools(&mut self) {
        let limits = |max: u32| -> HashMap<String, Arc<Limit>> {
            ["app", "other", "one", "two"].iter().map(|name| (name.to_string(), Limit::new(max))).collect()
        };
        let (databases, users) = (limits(self.plan.database_max), limits(self.plan.user_max));
        for (place, plan) in self.plan.pools.iter().enumerate() {
            let budget = Budget {
                pool: Limit::new(plan.size),
                database: Arc::clone(&databases[&plan.profile.database]),
                user: Arc::clone(&users[&plan.profile.user]),
            };
            let board = Arc::new(Board::new(self.plan.workers, self.now));
            let profile = Arc::new(plan.profile.clone());
            for core in &mut self.cores {
                core.add_pool(PoolSetup {
                    index: PoolIndex(place as u32),
                    profile: Arc::clone(&profile),
                    budget: budget.clone(),
                    board: Arc::clone(&board),
                });
            }
            self.budgets.push(budget);
        }
    }

    pub(crate) fn trace(&self, text: impl FnOnce(&Self) -> String) {
        if self.tracing {
            eprintln!("{}", text(self));
        }
    }

    /// So many random steps, then everything comes to its end.
    pub(crate) fn run(mut self, steps: usize) -> Tally {
        for _ in 0..steps {
            self.step();
            self.check();
        }
        self.finish();
        self.tally.executed = self.executed.len();
        self.tally.outdated = self.servers.iter().map(|server| server.backend.outdated.get()).sum();
        self.tally
    }

    pub(crate) fn client_index(&self, worker: usize, id: ClientId) -> Option<usize> {
        self.clients.iter().position(|client| client.worker == worker && client.id == id && !client.closed)
    }

    pub(crate) fn server_index(&self, worker: usize, id: ServerId) -> Option<usize> {
        let is_it = |server: &FakeServer| {
            server.worker == worker && server.id == id && !server.closed && !server.lent
        };
        self.servers.iter().position(is_it)
    }

    // ---- Clients

    pub(crate) fn add_client(&mut self) {
        let (worker, pool) = (self.rng.usize(0..self.cores.len()), self.rng.usize(0..self.plan.pools.len()));
        let number = self.next_client;
        self.next_client += 1;
        let mut own = Settings::new();
        let mut parameters = Parameters::unknown(&self.plan.core.tracked);
        if self.rng.u8(0..3) == 0 {
            let is_refused = self.plan.faults && self.rng.u8(0..10) == 0;
            let value =
                if is_refused { "refused".to_string() } else { format!("zone {}", self.rng.u8(0..3)) };
            own.insert("TimeZone".into(), value);
        }
        if self.rng.u8(0..3) == 0 {
            own.insert("application_name".into(), format!("app\\ '{}'", self.rng.u8(0..2)));
        }
        for (name, value) in &own {
            parameters.set(self.plan.core.tracked.index(name).expect("tracked"), value);
        }
        let plan = &self.plan.pools[pool];
        let info = ClientInfo {
            address: "unix".into(),
            port: 0,
            local_address: "unix".into(),
            local_port: 0,
            user: plan.profile.user.clone(),
            database: plan.profile.database.clone(),
            cancel_secret: self.rng.u32(..),
            tls: "",
            remote_pid: number,
        };
        let oracle = Backend::oracle(self.database.clone(), &own);
        let writer = Writer::new(number, plan.flavour);
        let join = ClientJoin {
            pool: PoolIndex(pool as u32),
            info: Box::new(info),
            parameters,
            connected_at: self.now,
        };
        let capacity = [300, 5_000, 100_000, 1_000_000][self.rng.usize(0..4)];
        self.trace(|_| format!("client {number} joins pool {pool} on worker {worker}: {own:?}"));
        let id = self.cores[worker].join_client(join, self.now);
        self.clients.push(FakeClient::new(number, worker, pool, id, capacity, oracle, writer));
        self.apply(worker);
    }

    /// The pooler reads from a client's socket, as far as it wants to.
    pub(crate) fn deliver_client(&mut self, place: usize, all: bool) {
        let client = &mut self.clients[place];
        let (worker, id) = (client.worker, client.id);
        let is_end = client.life == Life::Vanished && client.outgoing.is_empty();
        if client.closed || (client.outgoing.is_empty() && !is_end) || client.read_blocked {
            return;
        }
        if !self.cores[worker].may_read_client(id) {
            client.read_blocked = true;
            return;
        }
        if is_end {
            self.cores[worker].handle_client_gone(id, self.now);
        } else {
            let count = client.outgoing.len().min(64 * 1024);
            let count = if all || self.rng.bool() { count } else { self.rng.usize(1..=count) };
            let bytes: Vec<u8> = client.outgoing.drain(..count).collect();
            let number = client.number;
            self.trace(|_| format!("  worker {worker} reads {count} bytes of client {number}"));
            self.cores[worker].handle_client_data(id, &bytes, self.now);
        }
        self.apply(worker);
    }

    /// A client takes what is there for it.
    pub(crate) fn client_reads(&mut self, place: usize, all: bool) {
        let client = &mut self.clients[place];
        let count = client.incoming.len();
        let count = if all || count == 0 || self.rng.bool() { count } else { self.rng.usize(1..=count) };
        let had_diverged = client.diverged;
        client.read(count);
        self.tally.unhealed += usize::from(client.diverged && !had_diverged);
        if client.closed && client.incoming.is_empty() {
            client.end_of_stream();
            return;
        }
        // Room in the socket is news for the pooler, and it looks at both directions.
        if client.write_blocked && count > 0 {
            client.write_blocked = false;
            client.read_blocked = false;
            let (worker, id) = (client.worker, client.id);
            self.dirty_clients.push((worker, id));
        }
    }

    // ---- Servers

    /// The pooler reads from a server's socket, as far as it wants to.
    pub(crate) fn deliver_server(&mut self, place: usize, all: bool) {
        let server = &mut self.servers[place];
        let (worker, id) = (server.worker, server.id);
        if server.closed
            || server.lent
            || server.read_blocked
            || (server.outgoing.is_empty() && !server.is_at_end())
        {
            return;
        }
        if !self.cores[worker].may_read_server(id) {
            server.read_blocked = true;
            return;
        }
        if server.outgoing.is_empty() {
            self.cores[worker].handle_server_gone(id, self.now);
        } else {
            let count = server.outgoing.len().min(64 * 1024);
            let count = if all || self.rng.bool() { count } else { self.rng.usize(1..=count) };
            let bytes: Vec<u8> = server.outgoing.drain(..count).collect();
            let process_id = server.process_id;
            self.trace(|_| {
                format!("  worker {worker} reads {count} bytes of server {process_id}: {}", tags(&bytes))
            });
            self.cores[worker].handle_server_data(id, &bytes, self.now);
        }
        self.apply(worker);
    }

    /// A server handles what it was sent.
    pub(crate) fn server_works(&mut self, place: usize, all: bool) {
        let server = &mut self.servers[place];
        let count = server.incoming.len();
        let count = if all || count == 0 || self.rng.bool() { count } else { self.rng.usize(1..=count) };
        server.work(count);
        if server.write_blocked && count > 0 {
            server.write_blocked = false;
            server.read_blocked = false;
            let (worker, id) = (server.worker, server.id);
            self.dirty_servers.push((worker, id));
        }
        self.check_executed(place);
    }

    pub(crate) fn server_ends(&mut self, place: usize, says_why: bool) {
        let server = &mut self.servers[place];
        let process_id = server.process_id;
        if says_why {
            server.backend.terminate();
            self.happened.servers_said += 1;
        } else {
            server.backend.closed = true;
            server.outgoing.truncate(self.rng.usize(0..=server.outgoing.len()));
        }
        server.collect();
        server.read_blocked = false;
        self.happened.servers_lost += 1;
        self.trace(|_| format!("server {process_id} ends; says why: {says_why}"));
    }

    pub(crate) fn connect(&mut self, place: usize) {
        self.pass_time(Duration::from_micros(1));
        let Connecting { worker, pool, permit } = self.connecting.swap_remove(place);
        let index = PoolIndex(pool as u32);
        if let Some(failure) = self.unreachable {
            drop(permit);
            self.happened.connects_failed += 1;
            self.trace(|_| format!("pool {pool} cannot connect: {failure:?}"));
            self.cores[worker].handle_connect_failed(index, failure, "simulated".into(), self.now);
            self.apply(worker);
            return;
        }
        self.next_process += 1;
        let info = ServerInfo {
            address: "unix".into(),
            port: 5432,
            local_address: "unix".into(),
            local_port: 0,
            process_id: self.next_process,
            cancel_secret: self.rng.u64(..).to_be_bytes().to_vec(),
            tls: "",
        };
        let backend = Backend::new(self.database.clone());
        let (process_id, secret) = (info.process_id, info.cancel_secret.clone());
        let lifetime = self.plan.pools[pool].lifetime;
        let join = ServerJoin {
            info: Box::new(info),
            permit,
            welcome: Welcome { parameters: self.database.defaults.clone() },
            connected_at: self.now,
            expires_at: lifetime.map(|lifetime| self.now + lifetime),
        };
        self.trace(|_| format!("server {process_id} joins pool {pool} on worker {worker}"));
        let id = self.cores[worker].join_server(index, join, self.now);
        let capacity = [2_000, 100_000, 1_000_000][self.rng.usize(0..3)];
        self.servers.push(FakeServer {
            id,
            worker,
            pool,
            process_id,
            secret,
            backend,
            incoming: Default::default(),
            capacity,
            outgoing: Default::default(),
            closed: false,
            lent: false,
            read_blocked: false,
            write_blocked: false,
            user: None,
        });
        self.apply(worker);
    }

    // ---- Letters, cancel requests, time

    pub(crate) fn deliver_letter(&mut self, place: usize) {
        // Letters to one worker arrive in the order in which they were sent.
        match self.letters.remove(place) {
            Letter::Asked { pool, by, to } => {
                self.cores[to].handle_asked(pool, WorkerIndex(by as u16), self.now);
                self.apply(to);
            }
            Letter::Lent { server, lent, to } => {
                self.tally.lent += 1;
                let id = self.cores[to].adopt_server(lent, self.now);
                let server = &mut self.servers[server];
                (server.id, server.worker, server.lent, server.read_blocked) = (id, to, false, false);
                self.apply(to);
            }
        }
    }

    pub(crate) fn ask_cancel(&mut self, place: usize, with_right_key: bool) {
        let client = &mut self.clients[place];
        let Some((process_id, mut secret)) = client.key.clone() else { return };
        let worker = client.worker;
        let number = client.number;
        if with_right_key {
            client.cancels += 1;
            self.canceller = Some(client.number);
        } else {
            secret[0] ^= 1;
        }
        self.trace(|_| format!("client {number} cancels; right key: {with_right_key}"));
        let before = self.cancels.len();
        self.cores[worker].handle_cancel(process_id, &secret, self.now);
        self.apply(worker);
        assert!(with_right_key || self.cancels.len() == before, "a wrong key cancels nothing");
        self.canceller = None;
    }

    pub(crate) fn deliver_cancel(&mut self, place: usize) {
        let request = self.cancels.remove(place);
        let is_it =
            |server: &FakeServer| server.process_id == request.process_id && server.secret == request.secret;
        let target = self.servers.iter().position(is_it);
        if let Some(target) = target {
            self.cancel(target, request.asked_by);
        }
        if let Some(id) = request.server {
            self.cores[request.worker].handle_cancel_sent(id, self.now);
            self.apply(request.worker);
        }
    }

    /// A cancel request hits whatever the server is doing.
    fn cancel(&mut self, target: usize, asked_by: Option<u32>) {
        let server = &mut self.servers[target];
        let Some(sleeper) = server.backend.sleeper() else { return };
        let victim = crate::sql::Sql::client(sleeper);
        assert!(asked_by.is_none() || asked_by == victim, "{asked_by:?} asked, and {victim:?} is cancelled");
        assert!(asked_by.is_some() || server.closed, "the pooler cancels only what nobody waits for");
        self.tally.cancelled += 1;
        server.backend.wake(true);
        server.collect();
        self.server_works(target, false);
    }

    pub(crate) fn pass_time(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.next_tick <= end {
            self.now = self.next_tick;
            self.next_tick += TICK;
            self.ticks += 1;
            for worker in 0..self.cores.len() {
                self.cores[worker].handle_tick(self.now);
                if self.ticks.is_multiple_of(10) {
                    self.cores[worker].handle_slow_tick(self.now);
                }
                self.apply(worker);
            }
        }
        self.now = end;
    }

    // ---- What the state machines want

    /// Carries out what a worker has decided.
    pub(crate) fn apply(&mut self, worker: usize) {
        while let Some(effect) = self.cores[worker].poll_effect() {
            match effect {
                Effect::CloseClient(id, output) => self.close_client(worker, id, &output),
                Effect::CloseServer(id, output) => self.close_server(worker, id, &output),
                Effect::Connect(pool, permit) => {
                    self.connecting.push(Connecting { worker, pool: pool.0 as usize, permit });
                }
                Effect::Cancel(_, server, info) => self.cancels.push(CancelRequest {
                    worker,
                    server,
                    process_id: info.process_id,
                    secret: info.cancel_secret.clone(),
                    asked_by: self.canceller.filter(|_| server.is_some()),
                }),
                Effect::Lend(id, lent, to) => {
                    let server = self.server_index(worker, id).expect("it is there");
                    assert!(self.servers[server].outgoing.is_empty() || self.servers[server].backend.closed);
                    self.servers[server].lent = true;
                    self.letters.push(Letter::Lent { server, lent, to: usize::from(to.0) });
                }
                Effect::Ask(pool, to) => {
                    self.letters.push(Letter::Asked { pool, by: worker, to: usize::from(to.0) });
                }
                Effect::ReadClient(id) => {
                    if let Some(place) = self.client_index(worker, id) {
                        self.clients[place].read_blocked = false;
                    }
                }
                Effect::ReadServer(id) => {
                    if let Some(place) = self.server_index(worker, id) {
                        self.servers[place].read_blocked = false;
                    }
                }
            }
        }
    }

    fn close_client(&mut self, worker: usize, id: ClientId, output: &Output) {
        let place = self.client_index(worker, id).expect("a client is closed once");
        let client = &mut self.clients[place];
        client.closed = true;
        let count = output.len().min(client.capacity.saturating_sub(client.incoming.len()));
        client.incoming.extend(&output.bytes()[..count]);
        if count < output.len() && client.life != Life::Leaving {
            // It read too slowly to see why.
            client.life = Life::Vanished;
        }
        let number = client.number;
        self.trace(|_| format!("  client {number} is closed: {}", tags(output.bytes())));
    }

    fn close_server(&mut self, worker: usize, id: ServerId, output: &Output) {
        let place = self.server_index(worker, id).expect("a server is closed once");
        let server = &mut self.servers[place];
        server.closed = true;
        let count = output.len().min(server.capacity.saturating_sub(server.incoming.len()));
        server.incoming.extend(&output.bytes()[..count]);
        let process_id = server.process_id;
        self.transactions.retain(|_, process| *process != process_id);
        self.trace(|_| format!("  server {process_id} is closed: {}", tags(output.bytes())));
    }

    /// The end of a turn: everything is written, as far as the sockets take it.
    pub(crate) fn write_all(&mut self) {
        for worker in 0..self.cores.len() {
            let (mut clients, mut servers) = (Vec::new(), Vec::new());
            self.cores[worker].take_dirty_servers(&mut servers);
            self.cores[worker].take_dirty_clients(&mut clients);
            self.dirty_servers.extend(servers.into_iter().map(|id| (worker, id)));
            self.dirty_clients.extend(clients.into_iter().map(|id| (worker, id)));
        }
        for (worker, id) in std::mem::take(&mut self.dirty_servers) {
            self.write_server(worker, id);
        }
        for (worker, id) in std::mem::take(&mut self.dirty_clients) {
            self.write_client(worker, id);
        }
    }

    fn write_client(&mut self, worker: usize, id: ClientId) {
        let Some(place) = self.client_index(worker, id) else { return };
        let client = &mut self.clients[place];
        let output = self.cores[worker].client_output(id);
        if client.life == Life::Vanished && !output.is_empty() && self.rng.bool() {
            self.cores[worker].handle_client_gone(id, self.now);
            self.apply(worker);
            return;
        }
        let count = output.len().min(client.capacity.saturating_sub(client.incoming.len()));
        client.incoming.extend(&output[..count]);
        client.write_blocked = count < output.len();
        self.cores[worker].handle_client_written(id, count);
        self.apply(worker);
    }

    fn write_server(&mut self, worker: usize, id: ServerId) {
        let Some(place) = self.server_index(worker, id) else { return };
        let server = &mut self.servers[place];
        let output = self.cores[worker].server_output(id);
        if server.backend.closed {
            // What it said last may still be there to be read.
            server.read_blocked = false;
            return;
        }
        let count = output.len().min(server.capacity.saturating_sub(server.incoming.len()));
        server.incoming.extend(&output[..count]);
        server.write_blocked = count < output.len();
        let process_id = server.process_id;
        if self.tracing && count > 0 {
            eprintln!(
                "  worker {worker} writes {count} bytes to server {process_id}: {}",
                tags(&output[..count])
            );
        }
        self.cores[worker].handle_server_written(id, count);
        self.apply(worker);
    }
}

/// The types of the messages in a piece of a stream that begins with one.
pub(crate) fn tags(bytes: &[u8]) -> String {
    let mut shown = String::new();
    let mut rest = bytes;
    while let Ok(Some(header)) = pgprime_wire::frame::Header::peek(rest) {
        let end = header.len.min(rest.len());
        let text = &rest[5..end.min(45)];
        shown.push_str(&format!(
            "{}({}) ",
            char::from(header.tag),
            String::from_utf8_lossy(text).escape_debug()
        ));
        rest = &rest[end..];
    }
    shown
}
