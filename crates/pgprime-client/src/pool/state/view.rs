//! The state seen from outside: reports and errors.

use std::sync::Arc;
use std::time::Instant;

use super::slot::Place;
use super::{Refusal, State};
use crate::error::{ConnectError, Error, Exhausted, Holder};
use crate::pool::connector::Connector;
use crate::pool::report::{HolderReport, PoolReport};

/// Holders named in a report.
const HOLDERS_MAX: usize = 5;

impl<M: Connector> State<M> {
    pub(in crate::pool) fn report(&self, now: Instant) -> PoolReport {
        let counts = self.core.counts();
        let load = self.estimator.load();
        let holders = self.holders(now).into_iter().take(HOLDERS_MAX).map(|holder| HolderReport {
            taken_at: format!("{}:{}", holder.taken_at.file(), holder.taken_at.line()),
            held_ms: holder.held.as_secs_f64() * 1_000.0,
        });
        PoolReport {
            name: self.name,
            size: count(self.slots.len()),
            size_min: self.options.size_min,
            size_target: self.size_target,
            size_max: self.options.size_max,
            idle: count(counts.idle),
            busy: count(counts.busy),
            waiting: count(counts.waiting),
            connecting: count(counts.connecting),
            is_failing: self.core.is_failing(),
            acquired_total: self.totals.acquired,
            waited_total: self.totals.waited,
            exhausted_total: self.totals.exhausted,
            connect_errors_total: self.totals.connect_errors,
            opened_total: self.totals.opened,
            closed_total: self.totals.closed,
            leaked_total: self.totals.leaked,
            cleaned_total: self.totals.cleaned,
            wait_ms: self.waits.percentiles(),
            hold_ms: self.holds.percentiles(),
            arrivals_per_s: load.map_or(0.0, |load| load.requests_per_s),
            service_ms: load.map_or(0.0, |load| load.hold_ms_mean),
            holders: holders.collect(),
        }
    }

    /// Open connections, whoever has them.
    pub(in crate::pool) fn size(&self) -> usize {
        self.slots.len()
    }

    /// Tasks in the queue.
    pub(in crate::pool) fn waiting(&self) -> u32 {
        count(self.core.counts().waiting)
    }

    /// Why the last attempt to connect failed, while it is the last.
    pub(in crate::pool) fn failure(&self) -> Option<Arc<ConnectError>> {
        self.failure.clone()
    }

    /// Why nothing could be opened, as an error.
    pub(in crate::pool) fn down(&self) -> Error {
        let cause = self.failure().unwrap_or_else(|| {
            let reason = "there has been no answer yet".to_string();
            Arc::new(ConnectError::Unreachable { target: self.connector.target(), reason })
        });
        Error::Down { pool: self.name, cause }
    }

    /// The error of a task that is refused. When time has run out with room in the pool, the database is why.
    pub(super) fn error(&self, refusal: Refusal, since: Instant, at: Instant) -> Error {
        let counts = self.core.counts();
        match refusal {
            Refusal::Closed => Error::Closed(self.name),
            Refusal::Down => self.down(),
            Refusal::Timeout if self.slots.is_empty() => self.down(),
            Refusal::Timeout if self.core.is_failing() && count(counts.busy) < self.options.size_max => {
                self.down()
            }
            Refusal::Timeout => Error::Exhausted(Box::new(Exhausted {
                pool: self.name,
                busy: count(counts.busy),
                size_max: self.options.size_max,
                waiting: count(counts.waiting),
                waited: at.saturating_duration_since(since),
                longest_holder: self.holders(at).into_iter().next(),
            })),
        }
    }

    /// Who has a connection, the longest first.
    pub(in crate::pool) fn holders(&self, now: Instant) -> Vec<Holder> {
        let mut holders: Vec<Holder> = self
            .slots
            .values()
            .filter_map(|slot| match slot.place {
                Place::Held { taken_at, .. } => {
                    Some(Holder { taken_at, held: now.saturating_duration_since(slot.busy_since) })
                }
                _ => None,
            })
            .collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held));
        holders
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
