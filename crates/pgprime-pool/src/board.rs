//! What the workers of one pool tell each other: how many wait, since when, and how many servers idle.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A worker's number, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerIndex(pub u16);

/// A server moves to another worker only when a client there has waited this much longer than the longest here:
/// long enough to keep servers where they are under even load, short enough to keep the tail flat.
const FAIRNESS_SLACK: Duration = Duration::from_millis(5);

const NOBODY: u64 = u64::MAX;

#[derive(Debug)]
struct Notice {
    waiting: AtomicU32,
    idle: AtomicU32,
    /// Microseconds after the board's epoch at which the oldest waiter began to wait.
    oldest_us: AtomicU64,
}

/// One pool's notices, one a worker. Values are hints: they order hand-overs and never replace the budget.
#[derive(Debug)]
pub struct Board {
    epoch: Instant,
    notices: Vec<Notice>,
}

impl Board {
    /// A board for `workers` workers.
    pub fn new(workers: usize, epoch: Instant) -> Self {
        let notice = || Notice {
            waiting: AtomicU32::new(0),
            idle: AtomicU32::new(0),
            oldest_us: AtomicU64::new(NOBODY),
        };
        Self { epoch, notices: (0..workers).map(|_| notice()).collect() }
    }

    /// Whether there is anybody to share with.
    pub(crate) fn is_shared(&self) -> bool {
        self.notices.len() > 1
    }

    pub(crate) fn post(&self, worker: WorkerIndex, waiting: usize, idle: usize, oldest: Option<Instant>) {
        let Some(notice) = self.notices.get(usize::from(worker.0)) else { return };
        let oldest_us = oldest.map_or(NOBODY, |since| self.micros(since));
        notice.waiting.store(u32::try_from(waiting).unwrap_or(u32::MAX), Ordering::Release);
        notice.idle.store(u32::try_from(idle).unwrap_or(u32::MAX), Ordering::Release);
        notice.oldest_us.store(oldest_us, Ordering::Release);
    }

    /// The worker whose oldest client should have the next server, when that is not `own`.
    pub(crate) fn more_urgent_than(&self, own: WorkerIndex, oldest: Option<Instant>) -> Option<WorkerIndex> {
        let bound_us = match oldest {
            Some(since) => self.micros(since).saturating_sub(FAIRNESS_SLACK.as_micros() as u64),
            None => NOBODY,
        };
        self.others(own)
            .map(|(worker, notice)| (worker, notice.oldest_us.load(Ordering::Acquire)))
            .filter(|&(_, oldest_us)| oldest_us < bound_us)
            .min_by_key(|&(_, oldest_us)| oldest_us)
            .map(|(worker, _)| worker)
    }

    /// A worker that has an idle server to lend.
    pub(crate) fn with_idle(&self, own: WorkerIndex) -> Option<WorkerIndex> {
        self.others(own).find(|(_, notice)| notice.idle.load(Ordering::Acquire) > 0).map(|(worker, _)| worker)
    }

    fn others(&self, own: WorkerIndex) -> impl Iterator<Item = (WorkerIndex, &Notice)> {
        (0u16..).map(WorkerIndex).zip(&self.notices).filter(move |(worker, _)| *worker != own)
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_micros()).unwrap_or(NOBODY - 1)
    }
}
