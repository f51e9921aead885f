//! How connections come, come back and go.

use std::sync::Arc;
use std::time::Instant;

use pgprime_pool::{Event, Failure, Permit};

use super::slot::{Place, Slot};
use super::{Grant, State};
use crate::error::ConnectError;
use crate::pool::connector::Connector;
use crate::pool::effects::{Effect, EffectsOf, Purpose, SlotId, WaiterId};
use crate::pool::stats::End;

impl<M: Connector> State<M> {
    /// A holder gives a clean connection back.
    pub(in crate::pool) fn give_back(
        &mut self,
        id: SlotId,
        connection: M::Connection,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) {
        self.end_hold(id, now);
        self.rest(id, connection, now, effects);
    }

    /// A holder has given back a connection that has to be cleaned.
    pub(in crate::pool) fn begin_cleaning(&mut self, id: SlotId, now: Instant) {
        self.end_hold(id, now);
    }

    /// The connection has been brought back to a known state.
    pub(in crate::pool) fn cleaned(
        &mut self,
        id: SlotId,
        connection: M::Connection,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) {
        self.totals.cleaned += 1;
        self.rest(id, connection, now, effects);
    }

    /// A holder's connection is to be closed.
    pub(in crate::pool) fn close_held(
        &mut self,
        id: SlotId,
        connection: M::Connection,
        end: End,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) {
        self.end_hold(id, now);
        self.slots[id].place = Place::Idle(connection);
        self.close(id, end, now, effects);
    }

    /// The connection could not be brought back to a known state.
    pub(in crate::pool) fn cleaning_failed(
        &mut self,
        id: SlotId,
        connection: M::Connection,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) {
        self.slots[id].place = Place::Idle(connection);
        self.close(id, End::Unclean, now, effects);
    }

    /// A connection that the core counts as busy is to be closed.
    pub(super) fn close(&mut self, id: SlotId, end: End, now: Instant, effects: &mut EffectsOf<M>) {
        self.remove(id, end, effects);
        self.core.handle(Event::ServerClosed, now, &mut self.actions);
        self.settle(now, effects);
    }

    /// The connection has answered.
    pub(in crate::pool) fn checked(
        &mut self,
        id: SlotId,
        connection: M::Connection,
        purpose: Purpose,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) {
        let Purpose::Upkeep { idle_since } = purpose else {
            return self.checked_for(id, connection, purpose, now, effects);
        };
        let slot = &mut self.slots[id];
        slot.proven_at = now;
        slot.place = Place::Idle(connection);
        let rest = slot.rest(id);
        self.core.handle(Event::PutBack { rest, idle_since }, now, &mut self.actions);
        self.settle(now, effects);
    }

    fn checked_for(
        &mut self,
        id: SlotId,
        connection: M::Connection,
        purpose: Purpose,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) {
        let Some(waiter) = self.waiter_of(purpose) else {
            return self.rest(id, connection, now, effects);
        };
        let slot = &mut self.slots[id];
        slot.proven_at = now;
        slot.place = Place::Idle(connection);
        self.grant(waiter, id, now, effects);
    }

    /// The connection has not answered; who was to have it is the first to get another.
    pub(in crate::pool) fn check_failed(
        &mut self,
        id: SlotId,
        connection: M::Connection,
        purpose: Purpose,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) {
        self.slots[id].place = Place::Idle(connection);
        self.remove(id, End::Died, effects);
        if let Some(waiter) = self.waiter_of(purpose) {
            self.request_again(waiter, now);
        }
        self.core.handle(Event::ServerClosed, now, &mut self.actions);
        self.settle(now, effects);
    }

    /// A connection has been opened.
    pub(in crate::pool) fn connected(
        &mut self,
        connection: M::Connection,
        permit: Permit,
        expires_at: Option<Instant>,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) {
        self.totals.opened += 1;
        self.failure = None;
        let id = self.slots.insert(Slot::new(connection, permit, expires_at, now));
        let rest = self.slots[id].rest(id);
        self.core.handle(Event::Connected(rest), now, &mut self.actions);
        self.settle(now, effects);
        effects.push(Effect::Announce);
    }

    /// A connection could not be opened.
    pub(in crate::pool) fn connect_failed(
        &mut self,
        error: ConnectError,
        permit: Permit,
        now: Instant,
        effects: &mut EffectsOf<M>,
    ) {
        drop(permit);
        self.totals.connect_errors += 1;
        let failure = match error {
            ConnectError::Unreachable { .. } | ConnectError::Unavailable { .. } => Failure::Unreachable,
            ConnectError::Rejected { .. } => Failure::Rejected,
        };
        self.failure = Some(Arc::new(error));
        self.core.handle(Event::ConnectFailed(failure), now, &mut self.actions);
        self.settle(now, effects);
        self.arm_for_attempt(now, effects);
        effects.push(Effect::Announce);
    }

    /// Permits of closed connections have been given back.
    pub(in crate::pool) fn freed(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        if !self.is_closed {
            self.fill(now, effects);
        }
    }

    fn end_hold(&mut self, id: SlotId, now: Instant) {
        let slot = &mut self.slots[id];
        slot.place = Place::Tended;
        let held = now.saturating_duration_since(slot.busy_since);
        self.holds.record(held);
        self.totals.completions += 1;
        self.totals.held += held;
    }

    /// A busy connection is at rest and known to work.
    fn rest(&mut self, id: SlotId, connection: M::Connection, now: Instant, effects: &mut EffectsOf<M>) {
        let slot = &mut self.slots[id];
        slot.proven_at = now;
        slot.place = Place::Idle(connection);
        self.release(id, now, effects);
    }

    /// The waiter for whose sake a connection was checked, unless it has left or has been refused.
    fn waiter_of(&self, purpose: Purpose) -> Option<WaiterId> {
        let Purpose::Waiter(id) = purpose else { return None };
        let waiter = self.waiters.get(id)?;
        matches!(waiter.grant, Grant::Checking).then_some(id)
    }
}
