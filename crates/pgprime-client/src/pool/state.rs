//! The pool's state under its lock: every decision and no I/O.
//!
//! Who gets which connection is decided by the core in `pgprime-pool`; here its actions meet tasks and connections. What
//! must not happen under the lock (wake-ups, closing, opening) is left in [`Effects`](super::effects::Effects).

mod connections;
mod slot;
mod upkeep;
mod view;

use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use pgprime_capacity::sizing::{Damping, LoadEstimator};
use pgprime_pool::{
    Action, Board, Budget, CloseReason, Event, Limit, PoolSettings, Ticket, Waited, WorkerIndex,
};
use slotmap::SlotMap;

use super::connector::Connector;
use super::effects::{Effect, EffectsOf, Purpose, SlotId, WaiterId};
use super::options::PoolOptions;
use super::stats::{End, Recent, Totals};
use crate::error::{ConnectError, Error};
use slot::{Place, Slot};

/// How soon a task tries again whose pool has room, while the database's budget has none: siblings of the pool do not say
/// when they give a place back.
const PLACE_RETRY: Duration = Duration::from_millis(100);

/// The core of a pool inside an application: one worker, shared by all tasks.
type Core = pgprime_pool::Pool<WaiterId, SlotId>;

/// The state of a pool.
pub(super) struct State<M: Connector> {
    name: &'static str,
    connector: Arc<M>,
    options: PoolOptions,
    core: Core,
    waiters: SlotMap<WaiterId, Waiter>,
    slots: SlotMap<SlotId, Slot<M::Connection>>,
    /// Kept for its memory; empty between transitions.
    actions: Vec<Action<WaiterId, SlotId>>,
    is_closed: bool,
    /// When the maintenance task is to look for deadlines and pauses that have passed.
    alarm_at: Option<Instant>,
    /// Why the last attempt to connect failed, while it is the last.
    failure: Option<Arc<ConnectError>>,
    totals: Totals,
    waits: Recent,
    holds: Recent,
    turned_at: Instant,
    estimator: LoadEstimator,
    /// Arrivals, completions and time held that the estimator knows of.
    observed: (u64, u64, Duration),
    size_target: u32,
}

/// A task that waits: all that waiting costs beside its place in the core's queue.
#[derive(Debug)]
struct Waiter {
    taken_at: &'static Location<'static>,
    since: Instant,
    deadline: Option<Instant>,
    waker: Option<Waker>,
    grant: Grant,
}

#[derive(Clone, Copy, Debug)]
enum Grant {
    /// In the queue.
    Queued(Ticket),
    /// Out of the queue; its connection is being checked.
    Checking,
    /// It may come for its connection.
    Given(SlotId),
    /// It gets nothing, as decided then.
    Refused(Refusal, Instant),
}

/// Why a task gets no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Timeout,
    Down,
    Closed,
}

/// Who asks for a connection, and how long they would wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) taken_at: &'static Location<'static>,
    pub(super) timeout: Duration,
}

/// What becomes of a task that asks.
pub(super) enum Outcome<T> {
    Served(SlotId, T),
    Waiting(WaiterId),
    Refused(Error),
}

/// An idle connection that has been taken.
enum Taken {
    Ready(SlotId),
    /// It has to be checked first.
    Stale(SlotId),
}

impl<M: Connector> State<M> {
    pub(super) fn new(
        name: &'static str,
        connector: Arc<M>,
        options: PoolOptions,
        database: Arc<Limit>,
        now: Instant,
    ) -> Self {
        let budget = Budget { pool: Limit::new(options.size_max), database, user: Limit::new(0) };
        let core = Core::new(
            core_settings(&options, options.size_min),
            budget,
            Arc::new(Board::new(1, now)),
            WorkerIndex(0),
        );
        Self {
            name,
            connector,
            size_target: options.size_min,
            options,
            core,
            waiters: SlotMap::with_key(),
            slots: SlotMap::with_key(),
            actions: Vec::new(),
            is_closed: false,
            alarm_at: None,
            failure: None,
            totals: Totals::default(),
            waits: Recent::new(),
            holds: Recent::new(),
            turned_at: now,
            estimator: LoadEstimator::new(Damping::default(), now),
            observed: (0, 0, Duration::ZERO),
        }
    }

    /// A task asks for the first time.
    pub(super) fn begin(
        &mut self,
        asked: Asked,
        waker: &Waker,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) -> Outcome<M::Connection> {
        if self.is_closed {
            return Outcome::Refused(Error::Closed(self.name));
        }
        self.totals.arrivals += 1;
        let waiter = match self.take_idle(now, effects) {
            Some(Taken::Ready(id)) => {
                self.waits.record_zero();
                self.slots[id].busy_since = now;
                return Outcome::Served(id, self.hand_over(id, asked.taken_at));
            }
            Some(Taken::Stale(id)) => {
                let waiter = self.add_waiter(asked, now, effects);
                self.check(id, Purpose::Waiter(waiter), effects);
                waiter
            }
            None => self.enqueue(asked, now, effects),
        };
        self.resume(waiter, waker)
    }

    /// A task asks for what could be had at once.
    pub(super) fn begin_now(
        &mut self,
        taken_at: &'static Location<'static>,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) -> Option<(SlotId, M::Connection)> {
        if self.is_closed {
            return None;
        }
        self.totals.arrivals += 1;
        match self.take_idle(now, effects)? {
            Taken::Ready(id) => {
                self.waits.record_zero();
                self.slots[id].busy_since = now;
                Some((id, self.hand_over(id, taken_at)))
            }
            Taken::Stale(id) => {
                self.check(id, Purpose::Upkeep { idle_since: now }, effects);
                None
            }
        }
    }

    /// A waiting task asks what has become of its request.
    pub(super) fn resume(&mut self, id: WaiterId, waker: &Waker) -> Outcome<M::Connection> {
        let waiter = self.waiters.get_mut(id).expect("a waiter stays until its task has the outcome");
        let (taken_at, since) = (waiter.taken_at, waiter.since);
        match waiter.grant {
            Grant::Queued(_) | Grant::Checking => {
                if !waiter.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                    waiter.waker = Some(waker.clone());
                }
                Outcome::Waiting(id)
            }
            Grant::Given(slot) => {
                self.waiters.remove(id);
                Outcome::Served(slot, self.hand_over(slot, taken_at))
            }
            Grant::Refused(refusal, at) => {
                self.waiters.remove(id);
                Outcome::Refused(self.error(refusal, since, at))
            }
        }
    }

    /// A task waits no more; what it was given goes to the next.
    pub(super) fn abandon(&mut self, id: WaiterId, now: Instant, effects: &mut EffectsOf<M>) {
        let Some(waiter) = self.waiters.remove(id) else { return };
        match waiter.grant {
            Grant::Queued(ticket) => {
                self.core.leave(ticket);
            }
            Grant::Given(id) => {
                self.slots[id].revoke();
                self.release(id, now, effects);
            }
            Grant::Checking | Grant::Refused(..) => {}
        }
    }

    /// Hands out nothing more, refuses who waits and closes what idles.
    pub(super) fn shut(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        self.is_closed = true;
        let waiting: Vec<WaiterId> = self.waiters.keys().collect();
        for id in waiting {
            self.expel(id, Refusal::Closed, now, effects);
        }
        self.core.handle(Event::Pause, now, &mut self.actions);
        self.settle(now, effects);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) fn is_failing(&self) -> bool {
        self.core.is_failing()
    }

    /// Takes an idle connection, unless somebody waits. Those found dead on the way are let go.
    fn take_idle(&mut self, now: Instant, effects: &mut EffectsOf<M>) -> Option<Taken> {
        loop {
            let id = self.core.take_idle()?;
            if self.is_dead(id) {
                self.close(id, End::Died, now, effects);
            } else if self.is_stale(id, now) {
                return Some(Taken::Stale(id));
            } else {
                return Some(Taken::Ready(id));
            }
        }
    }

    fn is_dead(&self, id: SlotId) -> bool {
        match &self.slots[id].place {
            Place::Idle(connection) | Place::Granted(connection) => {
                self.connector.is_closed(connection) || self.connector.is_outdated(connection)
            }
            Place::Held { .. } | Place::Tended => false,
        }
    }

    fn is_stale(&self, id: SlotId, now: Instant) -> bool {
        let after = self.options.check_after_idle;
        !after.is_zero() && now.saturating_duration_since(self.slots[id].proven_at) >= after
    }

    fn hand_over(&mut self, id: SlotId, taken_at: &'static Location<'static>) -> M::Connection {
        self.totals.acquired += 1;
        let held = Place::Held { taken_at, is_reported: false };
        self.slots[id].move_out(held).expect("a connection that is handed over is in its slot")
    }

    fn check(&mut self, id: SlotId, purpose: Purpose, effects: &mut EffectsOf<M>) {
        if let Some(connection) = self.slots[id].move_out(Place::Tended) {
            effects.push(Effect::Check(id, connection, purpose));
        }
    }

    fn add_waiter(&mut self, asked: Asked, now: Instant, effects: &mut EffectsOf<M>) -> WaiterId {
        self.totals.waited += 1;
        let deadline = now.checked_add(asked.timeout);
        if let Some(deadline) = deadline {
            self.arm(deadline, effects);
        }
        let Asked { taken_at, .. } = asked;
        self.waiters.insert(Waiter { taken_at, since: now, deadline, waker: None, grant: Grant::Checking })
    }

    fn enqueue(&mut self, asked: Asked, now: Instant, effects: &mut EffectsOf<M>) -> WaiterId {
        let id = self.add_waiter(asked, now, effects);
        let ticket = self.core.request(id, now, &mut self.actions);
        self.waiters[id].grant = Grant::Queued(ticket);
        self.settle(now, effects);
        self.arm_for_attempt(now, effects);
        id
    }

    fn request_again(&mut self, id: WaiterId, now: Instant) {
        let waiter = &mut self.waiters[id];
        let ticket = self.core.request_again(id, waiter.since, now, &mut self.actions);
        waiter.grant = Grant::Queued(ticket);
    }

    /// Gives a connection to a waiter that is not in the queue any more.
    fn grant(&mut self, waiter: WaiterId, id: SlotId, now: Instant, effects: &mut EffectsOf<M>) {
        let Waiter { since, waker, grant, .. } = &mut self.waiters[waiter];
        *grant = Grant::Given(id);
        self.waits.record(now.saturating_duration_since(*since));
        if let Some(waker) = waker.take() {
            effects.wake(waker);
        }
        self.slots[id].grant(now);
    }

    /// Takes a waiter out of the queue, unless it has its answer already.
    fn expel(&mut self, id: WaiterId, refusal: Refusal, now: Instant, effects: &mut EffectsOf<M>) {
        match self.waiters[id].grant {
            Grant::Queued(ticket) => {
                self.core.leave(ticket);
            }
            Grant::Checking => {}
            Grant::Given(_) | Grant::Refused(..) => return,
        }
        self.refuse(id, refusal, now, effects);
    }

    /// Tells a waiter that is not in the queue any more.
    fn refuse(&mut self, id: WaiterId, refusal: Refusal, now: Instant, effects: &mut EffectsOf<M>) {
        let waiter = &mut self.waiters[id];
        waiter.grant = Grant::Refused(refusal, now);
        self.waits.record(now.saturating_duration_since(waiter.since));
        if let Some(waker) = waiter.waker.take() {
            effects.wake(waker);
        }
        if refusal == Refusal::Timeout {
            self.totals.exhausted += 1;
        }
    }

    fn release(&mut self, id: SlotId, now: Instant, effects: &mut EffectsOf<M>) {
        let rest = self.slots[id].rest(id);
        self.core.handle(Event::Released(rest), now, &mut self.actions);
        self.settle(now, effects);
    }

    /// Forgets a connection, and has it closed. Its permit lasts until that is done, lest there be one too many meanwhile.
    fn remove(&mut self, id: SlotId, end: End, effects: &mut EffectsOf<M>) {
        let Some(slot) = self.slots.remove(id) else { return };
        self.totals.closed.count(if self.is_closed { End::Shutdown } else { end });
        let (connection, permit) = slot.into_parts();
        effects.push(Effect::Close(connection, permit));
        effects.push(Effect::Announce);
    }

    /// Carries out what the core has decided.
    fn settle(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        while !self.actions.is_empty() {
            let mut actions = std::mem::take(&mut self.actions);
            for action in actions.drain(..) {
                self.carry_out(action, now, effects);
            }
            if self.actions.is_empty() {
                self.actions = actions;
            }
        }
    }

    fn carry_out(&mut self, action: Action<WaiterId, SlotId>, now: Instant, effects: &mut EffectsOf<M>) {
        match action {
            Action::Assign(waited, id) => self.assign(waited, id, now, effects),
            Action::Connect(permit) => effects.push(Effect::Connect(permit)),
            Action::Close(id, reason) => self.remove(id, end_of(reason), effects),
            Action::Expire(waited) => self.refuse(waited.client, Refusal::Timeout, now, effects),
            Action::Fail(waited) => self.refuse(waited.client, Refusal::Down, now, effects),
            Action::EvictElsewhere(_) => self.arm(now + PLACE_RETRY, effects),
            // There is no other worker.
            Action::Lend(..) | Action::Ask(_) => {}
        }
    }

    fn assign(&mut self, waited: Waited<WaiterId>, id: SlotId, now: Instant, effects: &mut EffectsOf<M>) {
        if self.is_dead(id) {
            self.remove(id, End::Died, effects);
            self.request_again(waited.client, now);
            self.core.handle(Event::ServerClosed, now, &mut self.actions);
        } else if self.is_stale(id, now) {
            self.waiters[waited.client].grant = Grant::Checking;
            self.check(id, Purpose::Waiter(waited.client), effects);
        } else {
            self.grant(waited.client, id, now, effects);
        }
    }
}

/// The pool core's settings while `ready` connections are to be kept open. Deadlines are kept here, because each waiter may
/// have its own.
fn core_settings(options: &PoolOptions, ready: u32) -> PoolSettings {
    PoolSettings {
        size_min: ready,
        reserve_size: 0,
        reserve_timeout: Duration::ZERO,
        idle_timeout: options.idle_timeout,
        wait_timeout: Duration::ZERO,
        login_retry: options.breaker,
        round_robin: false,
    }
}

fn end_of(reason: CloseReason) -> End {
    match reason {
        CloseReason::Lifetime | CloseReason::Reconnect => End::Lifetime,
        CloseReason::Idle => End::Idle,
        CloseReason::Paused => End::Shutdown,
        CloseReason::OverLimit | CloseReason::Evicted => End::Evicted,
    }
}
