//! Clients and servers come, meet and go.

use std::time::Instant;

use pgprime_pool::{Action, Event, Failure, Pool, Refusal, Rest, Ticket, Waited, WorkerIndex};
use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::backend::encode;
use pgprime_wire::frontend;
use pgprime_wire::startup::CancelKey;

use super::buffer::Output;
use super::client::{Client, ClientState, Passing};
use super::ends::{ClientEnd, ServerEnd};
use super::ids::{ClientId, PoolIndex, ServerId};
use super::measure::ClientMeasure;
use super::parameters::{Parameters, Welcome};
use super::replies::{Owner, Reply, Task};
use super::server::{Remainder, Server, ServerJoin, ServerState};
use super::state::{ClientJoin, Core, Effect, LentServer, Mode, PoolProfile, PoolSetup, PoolState};
use super::stats::{Counters, micros};

impl Core {
    /// Makes a pool known. Known pools keep their state and take over the profile.
    pub fn add_pool(&mut self, setup: PoolSetup) {
        let place = setup.index.0 as usize;
        if self.pools.len() <= place {
            self.pools.resize_with(place + 1, || None);
        }
        match self.pools.get_mut(place) {
            Some(Some(state)) => {
                state.pool.set_settings(setup.profile.pool.clone());
                state.profile = setup.profile;
            }
            Some(vacant) => {
                *vacant = Some(PoolState {
                    pool: Pool::new(setup.profile.pool.clone(), setup.budget, setup.board, self.worker),
                    profile: setup.profile,
                    welcome: None,
                    defaults: Parameters::unknown(&self.settings.tracked),
                    clients: 0,
                    counters: Counters::default(),
                    connect_error: None,
                });
            }
            None => {}
        }
    }

    /// A client has logged in. It is told so at once, or as soon as a server has shown the database's parameters.
    ///
    /// # Panics
    /// When the pool was not added.
    pub fn join_client(&mut self, join: ClientJoin, now: Instant) -> ClientId {
        self.pool_mut(join.pool).expect("the pool was added before its clients").clients += 1;
        let cancel_pid = self.new_cancel_pid();
        let pool = join.pool;
        let id = self.clients.insert(Client {
            pool,
            info: join.info,
            state: ClientState::Idle,
            cancel_pid,
            input: Vec::new(),
            passing: Passing::Nothing,
            skipping: false,
            output: Output::default(),
            parameters: join.parameters,
            statements: None,
            connected_at: join.connected_at,
            request_at: now,
            idle_since: now,
            notified: false,
            measured: ClientMeasure::default(),
        });
        self.cancel_keys.insert(cancel_pid, id);
        if self.pool(pool).is_some_and(|pool| pool.welcome.is_some()) {
            self.welcome(id, now);
        } else {
            self.request_server(id, pool, ClientState::LoggingIn, now);
        }
        self.run_pool_actions(now);
        id
    }

    /// Process numbers of our own: the worker's index in the low byte, so that a cancel request finds its worker.
    fn new_cancel_pid(&mut self) -> u32 {
        loop {
            self.next_cancel = (self.next_cancel + 1) & 0x007f_ffff;
            let pid = (self.next_cancel << 8) | u32::from(self.worker.0 & 0xff);
            if self.next_cancel != 0 && !self.cancel_keys.contains_key(&pid) {
                return pid;
            }
        }
    }

    /// Tells a client that it is logged in, with the parameters of the database and its own.
    fn welcome(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let Some(pool) = self.pools.get(client.pool.0 as usize).and_then(Option::as_ref) else { return };
        let Some(welcome) = &pool.welcome else { return };
        client.parameters.fill_from(&pool.defaults);
        client.state = ClientState::Idle;
        client.idle_since = now;
        let key = CancelKey {
            process_id: client.cancel_pid,
            secret: client.info.cancel_secret.to_be_bytes().to_vec(),
        };
        if client.output.is_empty() {
            self.dirty_clients.push(id);
        }
        let out = client.output.writer(&mut self.buffers);
        encode::authentication_ok(out);
        for (name, value) in &welcome.parameters {
            let own = self.settings.tracked.index(name).and_then(|index| client.parameters.value(index));
            encode::parameter_status(out, name, own.unwrap_or(value));
        }
        encode::backend_key_data(out, &key);
        encode::ready_for_query(out, TransactionStatus::Idle);
        self.process_held(id, now);
    }

    /// Puts a client into its pool's queue.
    pub(super) fn request_server(
        &mut self,
        id: ClientId,
        pool: PoolIndex,
        state: fn(Ticket) -> ClientState,
        now: Instant,
    ) {
        let Some(client) = self.clients.get_mut(id) else { return };
        client.notified = false;
        let mut actions = std::mem::take(&mut self.scratch_actions);
        let ticket = self.pool_mut(pool).map(|state| state.pool.request(id, now, &mut actions));
        if let (Some(client), Some(ticket)) = (self.clients.get_mut(id), ticket) {
            client.state = state(ticket);
        }
        self.pool_actions.extend(actions.drain(..).map(|action| (pool, action)));
        self.scratch_actions = actions;
    }

    /// Puts a client back to the front of the queue: its server was lost before it could be used.
    fn request_server_again(
        &mut self,
        id: ClientId,
        state: fn(Ticket) -> ClientState,
        since: Instant,
        now: Instant,
    ) {
        let Some(pool) = self.clients.get(id).map(|client| client.pool) else { return };
        let mut actions = std::mem::take(&mut self.scratch_actions);
        let ticket = self.pool_mut(pool).map(|state| state.pool.request_again(id, since, now, &mut actions));
        if let (Some(client), Some(ticket)) = (self.clients.get_mut(id), ticket) {
            client.state = state(ticket);
        }
        self.pool_actions.extend(actions.drain(..).map(|action| (pool, action)));
        self.scratch_actions = actions;
    }

    pub(super) fn pool_event(&mut self, pool: PoolIndex, event: Event<ServerId>, now: Instant) {
        let mut actions = std::mem::take(&mut self.scratch_actions);
        if let Some(state) = self.pool_mut(pool) {
            state.pool.handle(event, now, &mut actions);
        }
        self.pool_actions.extend(actions.drain(..).map(|action| (pool, action)));
        self.scratch_actions = actions;
    }

    /// Carries out what the pools have decided.
    pub(super) fn run_pool_actions(&mut self, now: Instant) {
        while let Some((pool, action)) = self.pool_actions.pop_front() {
            match action {
                Action::Assign(waited, server) => self.serve(pool, waited, server, now),
                Action::Connect(permit) => self.effects.push_back(Effect::Connect(pool, permit)),
                Action::Close(server, reason) => self.end_server(server, ServerEnd::Pool(reason), now),
                Action::Expire(waited) => {
                    let waited_for = now.saturating_duration_since(waited.since);
                    // While no login succeeds, a larger pool would be of no use.
                    let failing = self.pool(pool).filter(|state| state.pool.is_failing());
                    let end = match failing.and_then(|state| state.connect_error.clone()) {
                        Some(reason) => ClientEnd::DatabaseUnavailable(reason),
                        None => ClientEnd::QueryWaitTimeout(waited_for),
                    };
                    self.end_client(waited.client, end, now);
                }
                Action::Fail(waited) => {
                    let reason =
                        self.pool(pool).and_then(|state| state.connect_error.clone()).unwrap_or_default();
                    self.end_client(waited.client, ClientEnd::DatabaseUnavailable(reason), now);
                }
                Action::Lend(server, to) => self.lend(server, to),
                Action::Ask(worker) => self.effects.push_back(Effect::Ask(pool, worker)),
                Action::EvictElsewhere(refusal) => self.evict_elsewhere(pool, refusal, now),
            }
        }
    }

    /// A client has got a server.
    fn serve(&mut self, pool: PoolIndex, waited: Waited<ClientId>, id: ServerId, now: Instant) {
        if !self.servers.contains_key(id) {
            // It was lost after the pool had given it away.
            self.pool_event(pool, Event::ServerClosed, now);
            let is_logging_in = self
                .clients
                .get(waited.client)
                .is_some_and(|client| matches!(client.state, ClientState::LoggingIn(_)));
            let state = if is_logging_in { ClientState::LoggingIn } else { ClientState::Waiting };
            self.request_server_again(waited.client, state, waited.since, now);
            return;
        }
        let (Some(client), Some(server)) = (self.clients.get_mut(waited.client), self.servers.get_mut(id))
        else {
            self.put_back(id, now);
            return;
        };
        if let ClientState::LoggingIn(_) = client.state {
            self.welcome(waited.client, now);
            self.put_back(id, now);
            return;
        }
        server.needs_reset = true;
        if let Some(pool) = self.pools.get_mut(client.pool.0 as usize).and_then(Option::as_mut) {
            pool.counters.assignments += 1;
            if waited.since != now {
                pool.counters.wait_us += micros(now.saturating_duration_since(waited.since));
            }
        }
        let Some(profile) =
            self.pools.get(client.pool.0 as usize).and_then(Option::as_ref).map(|pool| &pool.profile)
        else {
            return;
        };
        // A server that has just logged in is known to be alive, even where every use is to be checked.
        let is_new = !server.was_used && profile.check_delay.is_zero();
        let check =
            profile.check_if_due(now.saturating_duration_since(server.idle_since)).filter(|_| !is_new);
        let mut parameters = None;
        if !client.parameters.is_same(&server.parameters) {
            let places = client.parameters.differences(&server.parameters);
            if places.is_empty() {
                client.parameters = server.parameters.clone();
            } else {
                parameters = Some(client.parameters.sql(&self.settings.tracked, &places));
            }
        }
        if check.is_none() && parameters.is_none() {
            self.activate(id, waited.client, now);
            return;
        }
        client.state = ClientState::Preparing(id);
        server.state = ServerState::Preparing(waited.client);
        server.statements.set_unnamed(None);
        for (task, sql) in [(Task::Check, check), (Task::Parameters, parameters)] {
            if let Some(sql) = sql {
                self.ask(id, task, &sql);
            }
        }
    }

    fn ask(&mut self, id: ServerId, task: Task, sql: &str) {
        if let Some(server) = self.servers.get_mut(id) {
            server.replies.push(Owner::Pooler(task), Reply::Query);
        }
        self.tell_server(id, |out| frontend::encode::query(out, sql.as_bytes()));
    }

    /// A server connection has been opened.
    pub fn join_server(&mut self, pool_index: PoolIndex, join: ServerJoin, now: Instant) -> ServerId {
        let parameters = join.welcome.tracked(&self.settings.tracked);
        let welcome = join.welcome.clone();
        let id = self.servers.insert(Server::new(pool_index, join, parameters.clone(), now));
        if let Some(pool) = self.pool_mut(pool_index) {
            pool.connect_error = None;
            if pool.welcome.as_ref() != Some(&welcome) {
                pool.welcome = Some(welcome);
                pool.defaults = parameters;
            }
            let defaults = pool.defaults.clone();
            if let Some(server) = self.servers.get_mut(id) {
                // Equal by value: share one copy, so that later comparisons are by address.
                server.parameters = defaults;
                let rest = server.rest(id);
                self.pool_event(pool_index, Event::Connected(rest), now);
            }
        }
        self.run_pool_actions(now);
        id
    }

    /// What a pool's servers report has become known, from a server here or on another worker. Clients that log in
    /// need no more than this: they wait for no server.
    pub fn handle_welcome(&mut self, index: PoolIndex, welcome: Welcome, now: Instant) {
        let defaults = welcome.tracked(&self.settings.tracked);
        let Some(pool) = self.pool_mut(index).filter(|pool| pool.welcome.is_none()) else { return };
        pool.welcome = Some(welcome);
        pool.defaults = defaults;
        let is_waiting =
            |client: &Client| client.pool == index && matches!(client.state, ClientState::LoggingIn(_));
        let waiting: Vec<ClientId> =
            self.clients.iter().filter(|(_, client)| is_waiting(client)).map(|(id, _)| id).collect();
        for id in waiting {
            let ticket = self.clients.get(id).and_then(Client::ticket);
            if let (Some(ticket), Some(pool)) = (ticket, self.pool_mut(index)) {
                pool.pool.leave(ticket);
            }
            self.welcome(id, now);
        }
        self.run_pool_actions(now);
    }

    /// A server connection could not be opened.
    pub fn handle_connect_failed(&mut self, pool: PoolIndex, failure: Failure, reason: String, now: Instant) {
        if let Some(state) = self.pool_mut(pool) {
            state.connect_error = Some(reason);
        }
        self.pool_event(pool, Event::ConnectFailed(failure), now);
        self.run_pool_actions(now);
    }

    fn lend(&mut self, id: ServerId, to: WorkerIndex) {
        if let Some(server) = self.servers.remove(id) {
            let welcome = self.pool(server.pool).and_then(|pool| pool.welcome.clone());
            self.effects.push_back(Effect::Lend(id, LentServer { server: Box::new(server), welcome }, to));
        }
    }

    /// An idle server comes from another worker.
    pub fn adopt_server(&mut self, lent: LentServer, now: Instant) -> ServerId {
        let LentServer { server, welcome } = lent;
        let pool = server.pool;
        if let Some(welcome) = welcome {
            self.handle_welcome(pool, welcome, now);
        }
        let id = self.servers.insert(*server);
        let rest: Option<Rest<ServerId>> = self.servers.get(id).map(|server| server.rest(id));
        if let Some(rest) = rest {
            self.pool_event(pool, Event::Borrowed(rest), now);
        }
        self.run_pool_actions(now);
        id
    }

    /// Another worker asks for an idle server.
    pub fn handle_asked(&mut self, pool: PoolIndex, worker: WorkerIndex, now: Instant) {
        self.pool_event(pool, Event::Asked(worker), now);
        self.run_pool_actions(now);
    }

    /// A pool needs a place that another pool of its database or user may have to spare.
    fn evict_elsewhere(&mut self, needy: PoolIndex, refusal: Refusal, now: Instant) {
        let Some(profile) = self.pool(needy).map(|state| state.profile.clone()) else { return };
        let donor = (0u32..).map(PoolIndex).zip(&self.pools).find_map(|(index, state)| {
            let state = state.as_ref()?;
            let related = match refusal {
                Refusal::Pool => false,
                Refusal::Database => state.profile.database == profile.database,
                Refusal::User => state.profile.user == profile.user,
            };
            (index != needy && related && state.pool.counts().idle > 0).then_some(index)
        });
        if let Some(donor) = donor {
            self.pool_event(donor, Event::Evict, now);
            self.run_pool_actions(now);
            // At once, or the donor's minimum size takes the place again.
            self.pool_event(needy, Event::Freed, now);
        } else {
            self.fetch_spare(needy, &profile);
        }
    }

    /// No related pool has an idle server here: one that is idle on another worker is called, to be evicted next time.
    fn fetch_spare(&mut self, needy: PoolIndex, profile: &PoolProfile) {
        let effect = (0u32..).map(PoolIndex).zip(&self.pools).find_map(|(index, state)| {
            let state = state.as_ref()?;
            let related = state.profile.database == profile.database || state.profile.user == profile.user;
            let worker = state.pool.idle_elsewhere().filter(|_| index != needy && related)?;
            Some(Effect::Ask(index, worker))
        });
        self.effects.extend(effect);
    }

    /// The client's socket was closed by the client.
    pub fn handle_client_gone(&mut self, id: ClientId, now: Instant) {
        self.end_client(id, ClientEnd::Gone, now);
        self.run_pool_actions(now);
    }

    /// The server's socket was closed by the server.
    pub fn handle_server_gone(&mut self, id: ServerId, now: Instant) {
        self.end_server(id, ServerEnd::Gone, now);
        self.run_pool_actions(now);
    }

    /// Whether a client can be told nothing more: it has part of a message, and anything else would be taken for the rest
    /// of it, or its server has told it already that this is the end.
    fn has_heard_the_last(&self, id: ClientId) -> bool {
        let server =
            self.clients.get(id).and_then(Client::server).and_then(|server| self.servers.get(server));
        server.is_some_and(|server| {
            let has_said = server.close_needed && matches!(server.state, ServerState::Active(_));
            has_said || matches!(server.remainder, Remainder::Forward(to, _) if to == id)
        })
    }

    /// Ends a client's connection; its server is cleaned or closed.
    pub(super) fn end_client(&mut self, id: ClientId, end: ClientEnd, now: Instant) {
        if let Some((sqlstate, text)) = end.message()
            && !self.has_heard_the_last(id)
        {
            self.tell_client_error(id, "FATAL", sqlstate, &text);
        }
        let Some(mut client) = self.clients.remove(id) else { return };
        self.cancel_keys.remove(&client.cancel_pid);
        if let Some(state) = self.pool_mut(client.pool) {
            state.clients = state.clients.saturating_sub(1);
            if let Some(ticket) = client.ticket() {
                state.pool.leave(ticket);
            }
        }
        if self.settings.log_disconnections {
            self.log_disconnection(&client, &end, now);
        }
        let server = client.server();
        if let Some(server) = server {
            self.count_lost(server, &mut client, now);
        }
        let amid_message = matches!(client.passing, Passing::Forward(_));
        self.effects.push_back(Effect::CloseClient(id, client.output));
        if let Some(server) = server {
            self.leave_server(server, &end, amid_message, now);
        }
    }

    fn log_disconnection(&self, client: &Client, end: &ClientEnd, now: Instant) {
        let application =
            self.settings.tracked.index("application_name").and_then(|i| client.parameters.value(i));
        tracing::info!(
            client = client.info.address,
            port = client.info.port,
            user = client.info.user,
            database = client.info.database,
            application_name = application.unwrap_or_default(),
            age_s = now.saturating_duration_since(client.connected_at).as_secs(),
            "client closing because: {}",
            end.reason()
        );
    }

    fn leave_server(&mut self, id: ServerId, end: &ClientEnd, amid_message: bool, now: Instant) {
        match end {
            ClientEnd::QueryTimeout => {
                if let Some(server) = self.servers.get(id) {
                    let effect = Effect::Cancel(server.pool, None, server.info.clone());
                    self.effects.push_back(effect);
                }
                self.end_server(id, ServerEnd::Timeout, now);
            }
            // A message cut short would swallow whatever is sent next.
            _ if amid_message => self.end_server(id, ServerEnd::Unclean, now),
            _ => self.abandon(id, now),
        }
    }

    /// Ends a server's connection; its client, if any, is told.
    pub(super) fn end_server(&mut self, id: ServerId, end: ServerEnd, now: Instant) {
        let Some(mut server) = self.servers.remove(id) else { return };
        tracing::info!(
            server = server.info.address,
            port = server.info.port,
            process_id = server.info.process_id,
            age_s = now.saturating_duration_since(server.connected_at).as_secs(),
            "server closing because: {}",
            end.reason()
        );
        if !matches!(end, ServerEnd::Gone) && server.replies.is_settled() && server.output.is_empty() {
            frontend::encode::terminate(server.output.writer(&mut self.buffers));
        }
        let client = server.client();
        if let Some(client) = client {
            self.count_lost_with(&mut server, client, now);
        }
        let was_idle = server.state == ServerState::Idle;
        let lost = match server.remainder {
            Remainder::Forward(..) => ClientEnd::CutOff,
            _ if server.close_needed => ClientEnd::ServerSaid,
            _ => ClientEnd::ServerGone,
        };
        let pool = server.pool;
        self.effects.push_back(Effect::CloseServer(id, std::mem::take(&mut server.output)));
        // The permit goes back here, before the pool looks for one.
        drop(server);
        if was_idle {
            self.pool_event(pool, Event::IdleServerClosed(id), now);
        } else {
            self.pool_event(pool, Event::ServerClosed, now);
        }
        if let Some(client) = client {
            self.server_lost(client, lost, now);
        }
    }

    /// A client's server is gone. A client that has sent nothing to it yet gets another.
    fn server_lost(&mut self, id: ClientId, end: ClientEnd, now: Instant) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if let ClientState::Preparing(_) = client.state {
            let since = client.request_at;
            client.state = ClientState::Idle;
            self.request_server_again(id, ClientState::Waiting, since, now);
            return;
        }
        client.state = ClientState::Idle;
        self.end_client(id, end, now);
    }

    /// Whether the pool's servers stay with their clients.
    pub(super) fn is_session_pool(&self, pool: PoolIndex) -> bool {
        self.pool(pool).is_some_and(|state| state.profile.mode == Mode::Session)
    }
}
