//! The pool itself: waiting clients, idle servers, and the one transition function [`Pool::handle`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::board::{Board, WorkerIndex};
use crate::budget::{Budget, Permit, Refusal};
use crate::retry::Retry;
use crate::wait_queue::{Ticket, WaitQueue};

/// Server logins of one pool in flight at once: enough to fill a pool of 25 in a few round trips, few enough not to
/// be a login storm for PostgreSQL, which forks a process for each.
const CONNECTING_MAX: usize = 8;

/// What a pool is allowed and how long things may last. A zero duration switches that limit off.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Connections kept open while the pool is in use.
    pub size_min: u32,
    /// Connections beyond the pool's size, once a client has waited for `reserve_timeout`.
    pub reserve_size: u32,
    /// How long a client waits before the reserve is opened.
    pub reserve_timeout: Duration,
    /// An idle server beyond `size_min` is closed after this time.
    pub idle_timeout: Duration,
    /// A waiting client is refused after this time.
    pub wait_timeout: Duration,
    /// How long clients wait for a database out of reach before they are refused, and the longest pause between
    /// attempts to connect.
    pub login_retry: Duration,
    /// Take idle servers in turn instead of the one used last.
    pub round_robin: bool,
}

/// How a server connection failed to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer, refused, starting up or out of connections: it may pass by itself.
    Unreachable,
    /// The database answered and refused the login.
    Rejected,
}

/// Something that happened to the pool.
#[derive(Debug)]
pub enum Event<S> {
    /// A connection that this pool asked for is open and clean.
    Connected(Rest<S>),
    /// Another worker lent an idle server.
    Borrowed(Rest<S>),
    /// A server connection could not be opened; its permit has been dropped.
    ConnectFailed(Failure),
    /// A busy server is clean again.
    Released(Rest<S>),
    /// A server taken by [`Pool::take_idle_one`] is as it was: to the pool it has idled all the time.
    PutBack {
        /// The server.
        rest: Rest<S>,
        /// Since when it has idled, as the pool said.
        idle_since: Instant,
    },
    /// A busy server is gone; its permit has been dropped.
    ServerClosed,
    /// An idle server is gone; its permit has been dropped.
    IdleServerClosed(S),
    /// Another worker's client waits and this pool was asked to lend an idle server.
    Asked(WorkerIndex),
    /// Time has passed.
    Tick(Demand),
    /// Hand out nothing more and close servers as they come back.
    Pause,
    /// Serve again.
    Resume,
    /// Close every server that was opened before this moment as soon as it is idle.
    Reconnect,
    /// Give up one idle server for another pool of the same database or user.
    Evict,
    /// A place under a limit may have become free.
    Freed,
}

/// A server that has nothing to do.
#[derive(Clone, Copy, Debug)]
pub struct Rest<S> {
    /// The server.
    pub server: S,
    /// When it was connected.
    pub connected_at: Instant,
    /// When its lifetime ends, if ever.
    pub expires_at: Option<Instant>,
}

/// Whether a pool has clients, so that its minimum size applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Keep `size_min` servers ready.
    InUse,
    /// Let all servers go in time.
    Unused,
}

/// A client that has left the queue, served or not.
#[derive(Clone, Copy, Debug)]
pub struct Waited<C> {
    /// The client.
    pub client: C,
    /// When it began to wait.
    pub since: Instant,
}

/// Why a server is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// `server_lifetime`.
    Lifetime,
    /// `server_idle_timeout`.
    Idle,
    /// The pool is paused.
    Paused,
    /// RECONNECT, or changed settings of the database.
    Reconnect,
    /// A limit was lowered.
    OverLimit,
    /// Another pool needed the place.
    Evicted,
}

/// What the caller has to do.
#[derive(Debug)]
pub enum Action<C, S> {
    /// Serve the client with the server.
    Assign(Waited<C>, S),
    /// Open a connection; the outcome comes back as [`Event::Connected`] or [`Event::ConnectFailed`].
    Connect(Permit),
    /// Close an idle server.
    Close(S, CloseReason),
    /// Refuse a client that has waited too long.
    Expire(Waited<C>),
    /// Refuse a client because the database cannot be reached or rejects logins.
    Fail(Waited<C>),
    /// Move an idle server to another worker.
    Lend(S, WorkerIndex),
    /// Ask another worker for one of its idle servers.
    Ask(WorkerIndex),
    /// Ask the other pools of the database or user for a place.
    EvictElsewhere(Refusal),
}

/// What a pool consists of, at this moment, on this worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Clients in the queue.
    pub waiting: usize,
    /// Servers at rest.
    pub idle: usize,
    /// Servers with a client, or being cleaned.
    pub busy: usize,
    /// Servers logging in.
    pub connecting: usize,
}

#[derive(Debug)]
struct Idle<S> {
    rest: Rest<S>,
    idle_since: Instant,
}

/// One pool (a user on a database) on one worker.
#[derive(Debug)]
pub struct Pool<C, S> {
    settings: PoolSettings,
    budget: Budget,
    board: Arc<Board>,
    worker: WorkerIndex,
    /// The one used last is at the back.
    idle: VecDeque<Idle<S>>,
    waiters: WaitQueue<C>,
    busy: usize,
    connecting: usize,
    retry: Retry,
    /// A connection has been opened once.
    is_proven: bool,
    paused: bool,
    stale_before: Option<Instant>,
}

impl<C: Copy, S: Copy + PartialEq> Pool<C, S> {
    /// An empty pool.
    pub fn new(settings: PoolSettings, budget: Budget, board: Arc<Board>, worker: WorkerIndex) -> Self {
        Self {
            settings,
            budget,
            board,
            worker,
            idle: VecDeque::new(),
            waiters: WaitQueue::new(),
            busy: 0,
            connecting: 0,
            retry: Retry::default(),
            is_proven: false,
            paused: false,
            stale_before: None,
        }
    }

    /// Asks for a server. The answer is an [`Action`], now or later; until then the ticket can be given back to
    /// [`Pool::leave`].
    pub fn request(&mut self, client: C, now: Instant, actions: &mut Vec<Action<C, S>>) -> Ticket {
        let ticket = self.waiters.push(client, now);
        self.pump(now, actions);
        ticket
    }

    /// Asks again, at the front of the queue, for a client that has waited since then and whose server was lost before it
    /// could be used.
    pub fn request_again(
        &mut self,
        client: C,
        since: Instant,
        now: Instant,
        actions: &mut Vec<Action<C, S>>,
    ) -> Ticket {
        let ticket = self.waiters.push_front(client, since);
        self.pump(now, actions);
        ticket
    }

    /// What [`Pool::request`] would assign at once, without the way through the queue: an idle server, when nobody waits.
    /// It is busy from now on.
    pub fn take_idle(&mut self) -> Option<S> {
        if !self.waiters.is_empty() || self.paused {
            return None;
        }
        let idle = self.pop_idle()?;
        self.busy += 1;
        self.post();
        Some(idle.rest.server)
    }

    /// Takes this idle server, to look after it, and says since when it has idled. It is busy until
    /// [`Event::PutBack`], [`Event::Released`] or [`Event::ServerClosed`].
    pub fn take_idle_one(&mut self, server: S) -> Option<Instant> {
        let index = self.idle.iter().position(|idle| idle.rest.server == server)?;
        let idle = self.idle.remove(index)?;
        self.busy += 1;
        self.post();
        Some(idle.idle_since)
    }

    /// Leaves the queue; `false` when the client was served already.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let left = self.waiters.remove(ticket).is_some();
        self.post();
        left
    }

    /// The one transition function: an event in, actions out.
    pub fn handle(&mut self, event: Event<S>, now: Instant, actions: &mut Vec<Action<C, S>>) {
        match event {
            Event::Connected(rest) => {
                self.retry.succeeded();
                self.is_proven = true;
                self.connecting = self.connecting.saturating_sub(1);
                self.rest(Idle { rest, idle_since: now }, now, actions);
            }
            Event::Borrowed(rest) => self.rest(Idle { rest, idle_since: now }, now, actions),
            Event::ConnectFailed(failure) => {
                self.connecting = self.connecting.saturating_sub(1);
                self.retry.failed(now, failure == Failure::Rejected, self.settings.login_retry);
            }
            Event::Released(rest) => {
                self.busy = self.busy.saturating_sub(1);
                self.rest(Idle { rest, idle_since: now }, now, actions);
            }
            Event::PutBack { rest, idle_since } => {
                self.busy = self.busy.saturating_sub(1);
                self.rest(Idle { rest, idle_since }, now, actions);
            }
            Event::ServerClosed => self.busy = self.busy.saturating_sub(1),
            Event::IdleServerClosed(server) => self.idle.retain(|idle| idle.rest.server != server),
            Event::Asked(worker) => self.lend_idle(worker, actions),
            Event::Tick(demand) => self.tick(demand, now, actions),
            Event::Pause => {
                self.paused = true;
                self.close_idle(CloseReason::Paused, actions);
            }
            Event::Resume => self.paused = false,
            Event::Freed => {}
            Event::Reconnect => {
                self.stale_before = Some(now);
                self.close_idle(CloseReason::Reconnect, actions);
            }
            Event::Evict => {
                if let Some(idle) = self.idle.pop_front() {
                    actions.push(Action::Close(idle.rest.server, CloseReason::Evicted));
                }
            }
        }
        self.pump(now, actions);
    }

    /// A connection that another worker lent, or that came with a moved client, joins this pool as a busy one.
    pub fn adopt_busy(&mut self) {
        self.busy += 1;
    }

    /// Changes the settings; they apply from the next event on.
    pub fn set_settings(&mut self, settings: PoolSettings) {
        self.settings = settings;
    }

    /// The settings in force.
    pub fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// The limits this pool counts against.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether PAUSE is in force.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether the last attempt to connect failed.
    pub fn is_failing(&self) -> bool {
        self.retry.is_failing()
    }

    /// When a connection may be attempted again, while attempts fail.
    pub fn next_attempt(&self) -> Option<Instant> {
        self.retry.next_attempt()
    }

    /// Whether a server opened at `since` is to be closed instead of used again.
    pub fn is_stale(&self, since: Instant) -> bool {
        self.stale_before.is_some_and(|stale_before| since <= stale_before)
    }

    /// Since when the longest waiting client waits.
    pub fn oldest_waiter(&self) -> Option<Instant> {
        self.waiters.oldest()
    }

    /// Another worker that has an idle server of this pool.
    pub fn idle_elsewhere(&self) -> Option<WorkerIndex> {
        self.board.with_idle(self.worker)
    }

    /// The pool in numbers.
    pub fn counts(&self) -> PoolCounts {
        PoolCounts {
            waiting: self.waiters.len(),
            idle: self.idle.len(),
            busy: self.busy,
            connecting: self.connecting,
        }
    }

    /// A server has nothing to do: serve the next client, lend it, keep it or close it.
    fn rest(&mut self, idle: Idle<S>, now: Instant, actions: &mut Vec<Action<C, S>>) {
        if let Some(reason) = self.reason_to_close(&idle, now) {
            actions.push(Action::Close(idle.rest.server, reason));
            return;
        }
        if self.board.is_shared() {
            let to = self.board.more_urgent_than(self.worker, self.waiters.oldest());
            if let Some(to) = to {
                actions.push(Action::Lend(idle.rest.server, to));
                return;
            }
        }
        // In the order in which they fell idle; one that was looked after goes back to its place.
        match self.idle.iter().rev().take_while(|other| other.idle_since > idle.idle_since).count() {
            0 => self.idle.push_back(idle),
            newer => self.idle.insert(self.idle.len() - newer, idle),
        }
    }

    fn reason_to_close(&self, idle: &Idle<S>, now: Instant) -> Option<CloseReason> {
        if self.paused {
            Some(CloseReason::Paused)
        } else if self.is_stale(idle.rest.connected_at) {
            Some(CloseReason::Reconnect)
        } else if idle.rest.expires_at.is_some_and(|expires_at| now >= expires_at) {
            Some(CloseReason::Lifetime)
        } else if self.is_over_limit() {
            Some(CloseReason::OverLimit)
        } else {
            None
        }
    }

    fn is_over_limit(&self) -> bool {
        let pool = &self.budget.pool;
        let pool_max = pool.max().saturating_add(self.settings.reserve_size);
        (pool.max() != 0 && pool.used() > pool_max)
            || self.budget.database.is_exceeded()
            || self.budget.user.is_exceeded()
    }

    /// Brings clients and servers together, and opens connections where clients are left over.
    fn pump(&mut self, now: Instant, actions: &mut Vec<Action<C, S>>) {
        if !self.paused {
            self.assign(actions);
            self.refuse_if_down(now, actions);
            self.connect_for_waiters(now, actions);
        }
        self.post();
    }

    fn assign(&mut self, actions: &mut Vec<Action<C, S>>) {
        while !self.waiters.is_empty() {
            let Some(idle) = self.pop_idle() else { break };
            let Some((client, since)) = self.waiters.pop() else { break };
            self.busy += 1;
            actions.push(Action::Assign(Waited { client, since }, idle.rest.server));
        }
    }

    fn pop_idle(&mut self) -> Option<Idle<S>> {
        if self.settings.round_robin { self.idle.pop_front() } else { self.idle.pop_back() }
    }

    /// While the database is down for good, waiting clients are told so. The next attempt is carried by the first client
    /// that asks after the pause.
    fn refuse_if_down(&mut self, now: Instant, actions: &mut Vec<Action<C, S>>) {
        let down = self.busy == 0
            && self.connecting == 0
            && self.retry.gives_up(now, self.settings.login_retry)
            && !self.retry.may_attempt(now);
        if down {
            let refused = std::iter::from_fn(|| self.waiters.pop());
            actions.extend(refused.map(|(client, since)| Action::Fail(Waited { client, since })));
        }
    }

    fn connect_for_waiters(&mut self, now: Instant, actions: &mut Vec<Action<C, S>>) {
        // The first connection shows whether the database is there; it is all that clients logging in wait for.
        let in_flight_max = if self.is_proven && !self.retry.is_failing() { CONNECTING_MAX } else { 1 };
        while self.connecting < self.waiters.len().min(in_flight_max) && self.retry.may_attempt(now) {
            match self.budget.try_acquire(self.reserve_open(now)) {
                Ok(permit) => {
                    self.connecting += 1;
                    actions.push(Action::Connect(permit));
                }
                Err(refusal) => {
                    match refusal {
                        Refusal::Pool => {}
                        Refusal::Database => self.budget.database.want(now),
                        Refusal::User => self.budget.user.want(now),
                    }
                    match self.board.with_idle(self.worker) {
                        Some(worker) => actions.push(Action::Ask(worker)),
                        None if refusal == Refusal::Pool => {}
                        None => actions.push(Action::EvictElsewhere(refusal)),
                    }
                    break;
                }
            }
        }
    }

    /// How many connections beyond the pool's size may be opened now.
    fn reserve_open(&self, now: Instant) -> u32 {
        let waited =
            self.waiters.oldest().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if self.settings.reserve_size > 0 && waited >= self.settings.reserve_timeout {
            self.settings.reserve_size
        } else {
            0
        }
    }

    fn lend_idle(&mut self, to: WorkerIndex, actions: &mut Vec<Action<C, S>>) {
        if self.waiters.is_empty()
            && let Some(idle) = self.idle.pop_back()
        {
            actions.push(Action::Lend(idle.rest.server, to));
        }
    }

    fn tick(&mut self, demand: Demand, now: Instant, actions: &mut Vec<Action<C, S>>) {
        let size_min = if demand == Demand::InUse { self.settings.size_min } else { 0 };
        self.expire_waiters(now, actions);
        self.retire_idle(size_min, now, actions);
        if !self.paused {
            self.keep_minimum(size_min, now, actions);
        }
    }

    fn expire_waiters(&mut self, now: Instant, actions: &mut Vec<Action<C, S>>) {
        let timeout = self.settings.wait_timeout;
        if timeout.is_zero() {
            return;
        }
        while self.waiters.oldest().is_some_and(|since| now.saturating_duration_since(since) >= timeout) {
            let Some((client, since)) = self.waiters.pop() else { break };
            actions.push(Action::Expire(Waited { client, since }));
        }
    }

    fn retire_idle(&mut self, size_min: u32, now: Instant, actions: &mut Vec<Action<C, S>>) {
        let mut spare = self.budget.pool.used().saturating_sub(size_min);
        let mut kept = VecDeque::with_capacity(self.idle.len());
        for idle in std::mem::take(&mut self.idle) {
            let timeout = self.settings.idle_timeout;
            let timed_out = !timeout.is_zero() && now.saturating_duration_since(idle.idle_since) >= timeout;
            if let Some(reason) = self.reason_to_close(&idle, now) {
                spare = spare.saturating_sub(1);
                actions.push(Action::Close(idle.rest.server, reason));
            } else if timed_out && spare > 0 {
                spare -= 1;
                actions.push(Action::Close(idle.rest.server, CloseReason::Idle));
            } else {
                kept.push_back(idle);
            }
        }
        self.idle = kept;
    }

    fn keep_minimum(&mut self, size_min: u32, now: Instant, actions: &mut Vec<Action<C, S>>) {
        if self.budget.database.is_wanted(now) || self.budget.user.is_wanted(now) {
            return;
        }
        while self.budget.pool.used() < size_min
            && self.connecting < CONNECTING_MAX
            && self.retry.may_attempt(now)
        {
            let Ok(permit) = self.budget.try_acquire(0) else { break };
            self.connecting += 1;
            actions.push(Action::Connect(permit));
        }
    }

    fn close_idle(&mut self, reason: CloseReason, actions: &mut Vec<Action<C, S>>) {
        actions.extend(self.idle.drain(..).map(|idle| Action::Close(idle.rest.server, reason)));
    }

    fn post(&self) {
        if self.board.is_shared() {
            self.board.post(self.worker, self.waiters.len(), self.idle.len(), self.waiters.oldest());
        }
    }
}
