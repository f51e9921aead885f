//! What happens by itself in time: deadlines, checks, leaks, and the size that follows the load.

use std::time::{Duration, Instant};

use pgprime_capacity::sizing::Observation;
use pgprime_pool::{Demand, Event};

use super::slot::Place;
use super::{Grant, Refusal, State, core_settings};
use crate::pool::connector::Connector;
use crate::pool::effects::{Effect, EffectsOf, Purpose, SlotId, WaiterId};
use crate::pool::stats::End;

/// One half of what percentiles look back on.
const TURN: Duration = Duration::from_secs(60);

impl<M: Connector> State<M> {
    /// The maintenance task's regular visit.
    pub(in crate::pool) fn tick(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        if self.is_closed {
            return;
        }
        self.bury_dead(now, effects);
        self.report_leaks(now, effects);
        self.follow_load(now);
        self.make_room(now, effects);
        self.fill(now, effects);
        self.check_idle(now, effects);
        if now.saturating_duration_since(self.turned_at) >= TURN {
            self.turned_at = now;
            self.waits.turn();
            self.holds.turn();
        }
    }

    /// Opens what is missing of the connections to be kept open, and closes what has idled too long.
    pub(in crate::pool) fn fill(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        self.core.handle(Event::Tick(Demand::InUse), now, &mut self.actions);
        self.settle(now, effects);
        self.arm_for_attempt(now, effects);
    }

    /// The alarm has gone off, or may have: refuses who has waited too long and tries again what has paused.
    pub(in crate::pool) fn alarm(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        if self.alarm_at.is_none_or(|at| now < at) {
            return;
        }
        self.alarm_at = None;
        let is_due = |deadline: &Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let due: Vec<WaiterId> =
            self.waiters.iter().filter(|(_, waiter)| is_due(&waiter.deadline)).map(|(id, _)| id).collect();
        for id in due {
            self.expel(id, Refusal::Timeout, now, effects);
        }
        if self.core.counts().waiting > 0 {
            self.core.handle(Event::Freed, now, &mut self.actions);
            self.settle(now, effects);
        }
        let undecided =
            self.waiters.values().filter(|waiter| matches!(waiter.grant, Grant::Queued(_) | Grant::Checking));
        if let Some(next) = undecided.filter_map(|waiter| waiter.deadline).min() {
            self.arm(next, effects);
        }
        self.arm_for_attempt(now, effects);
    }

    /// When the next alarm is due.
    pub(in crate::pool) fn alarm_at(&self) -> Option<Instant> {
        self.alarm_at
    }

    /// Has the maintenance task come at `at` or earlier.
    pub(super) fn arm(&mut self, at: Instant, effects: &mut EffectsOf<M>) {
        if self.alarm_at.is_none_or(|armed| at < armed) {
            self.alarm_at = Some(at);
            effects.push(Effect::Rearm);
        }
    }

    /// While attempts to connect fail and somebody waits, the next one begins when its pause is over, not with a tick.
    pub(super) fn arm_for_attempt(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        let next = self.core.next_attempt().filter(|&at| at > now);
        if let Some(next) = next
            && self.core.counts().waiting > 0
        {
            self.arm(next, effects);
        }
    }

    fn bury_dead(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        let is_dead = |place: &Place<M::Connection>| match place {
            Place::Idle(connection) => self.connector.is_closed(connection),
            _ => false,
        };
        let dead: Vec<SlotId> =
            self.slots.iter().filter(|(_, slot)| is_dead(&slot.place)).map(|(id, _)| id).collect();
        for id in dead {
            self.remove(id, End::Died, effects);
            self.core.handle(Event::IdleServerClosed(id), now, &mut self.actions);
            self.settle(now, effects);
        }
    }

    fn report_leaks(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        let limit = self.options.leak_after;
        for slot in self.slots.values_mut() {
            let held = now.saturating_duration_since(slot.busy_since);
            if let Place::Held { taken_at, is_reported: is_reported @ false } = &mut slot.place
                && !limit.is_zero()
                && held > limit
            {
                *is_reported = true;
                self.totals.leaked += 1;
                effects.push(Effect::ReportLeak(taken_at, held));
            }
        }
    }

    /// Tells the estimator what happened since the last tick, and keeps as many connections open as it says.
    fn follow_load(&mut self, now: Instant) {
        let (arrivals, completions, held) = self.observed;
        self.observed = (self.totals.arrivals, self.totals.completions, self.totals.held);
        let is_in_use = |place: &Place<_>| matches!(place, Place::Granted(_) | Place::Held { .. });
        let in_use = self.slots.values().filter(|slot| is_in_use(&slot.place)).count();
        let observation = Observation {
            arrivals: self.totals.arrivals - arrivals,
            completions: self.totals.completions - completions,
            held: self.totals.held.saturating_sub(held),
            in_use: u32::try_from(in_use).unwrap_or(u32::MAX),
        };
        self.estimator.observe(now, observation);
        self.size_target = self.estimator.target(self.options.size_min, self.options.size_max);
        self.core.set_settings(core_settings(&self.options, self.size_target));
    }

    /// Gives up one idle connection when another pool of the same database has tasks waiting for a place.
    fn make_room(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        let spare = self.slots.len() > self.options.size_min as usize;
        if spare && self.core.counts().waiting == 0 && self.core.budget().database.is_wanted(now) {
            self.core.handle(Event::Evict, now, &mut self.actions);
            self.settle(now, effects);
        }
    }

    /// Asks connections that nobody has used for a while whether they still answer: the longest unheard of first, and
    /// a quarter at a time, so that the others are there for who comes meanwhile.
    fn check_idle(&mut self, now: Instant, effects: &mut EffectsOf<M>) {
        let is_idle = |id: &SlotId| matches!(self.slots[*id].place, Place::Idle(_));
        let mut stale: Vec<SlotId> =
            self.slots.keys().filter(is_idle).filter(|&id| self.is_stale(id, now)).collect();
        stale.sort_by_key(|&id| self.slots[id].proven_at);
        let at_once = (self.core.counts().idle / 4).max(1);
        for id in stale.into_iter().take(at_once) {
            if let Some(idle_since) = self.core.take_idle_one(id) {
                self.check(id, Purpose::Upkeep { idle_since }, effects);
            }
        }
    }
}
