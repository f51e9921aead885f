//! The epochs of tables in this process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::stamp::{Seen, Stamper};
use crate::tables::{Table, Tables};

/// Tables share this many places by their hash. Two in one place are changed together, which costs a fill, never a
/// wrong answer; in return nothing grows with the number of tables.
const SLOTS: usize = 4096;

/// A writer between the announcement of its COMMIT and the word how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WriterId(pub(crate) u64);

#[derive(Default)]
struct Slot {
    epoch: u64,
    /// Writers that came or went.
    moves: u64,
    writers: Vec<(WriterId, Instant)>,
}

impl Slot {
    /// What a writer whose lease has ended did is not known, so it counts as committed.
    fn expire(&mut self, now: Instant) {
        let before = self.writers.len();
        self.writers.retain(|(_, until)| now < *until);
        if self.writers.len() < before {
            self.epoch += 1;
            self.moves += 1;
        }
    }

    fn remove(&mut self, writer: WriterId) {
        self.writers.retain(|(id, _)| *id != writer);
        self.moves += 1;
    }
}

pub(crate) struct Epochs {
    slots: Box<[Mutex<Slot>]>,
    /// Changes of everything at once.
    generation: AtomicU64,
    next_writer: AtomicU64,
}

impl Epochs {
    pub(crate) fn new() -> Epochs {
        let slots = std::iter::repeat_with(Mutex::default).take(SLOTS).collect();
        Epochs { slots, generation: AtomicU64::new(0), next_writer: AtomicU64::new(1) }
    }

    /// What holds for `tables` now.
    pub(crate) fn look(&self, tables: &Tables, now: Instant) -> Seen {
        let mut stamper = Stamper::new();
        stamper.part(&self.generation.load(Ordering::SeqCst).to_be_bytes());
        for table in tables.iter() {
            self.with(table, |slot| {
                slot.expire(now);
                stamper.part(&slot.epoch.to_be_bytes());
                if !slot.writers.is_empty() {
                    stamper.part(&slot.moves.to_be_bytes());
                    stamper.writers_present();
                }
            });
        }
        stamper.finish()
    }

    pub(crate) fn next_writer(&self) -> WriterId {
        WriterId(self.next_writer.fetch_add(1, Ordering::Relaxed))
    }

    /// From here to the writer's end, or `until`, nothing made from `tables` is served or stored.
    pub(crate) fn begin(&self, tables: &Tables, writer: WriterId, now: Instant, until: Instant) {
        self.each(tables, |slot| {
            // Nobody may ever look at a table, but its writers must not pile up.
            slot.expire(now);
            slot.writers.push((writer, until));
            slot.moves += 1;
        });
    }

    /// `tables` changed; if by `writer`, that one has ended.
    pub(crate) fn change(&self, tables: &Tables, writer: Option<WriterId>) {
        self.each(tables, |slot| {
            slot.epoch += 1;
            if let Some(writer) = writer {
                slot.remove(writer);
            }
        });
    }

    pub(crate) fn change_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn roll_back(&self, tables: &Tables, writer: WriterId) {
        self.each(tables, |slot| slot.remove(writer));
    }

    fn each(&self, tables: &Tables, mut change: impl FnMut(&mut Slot)) {
        for table in tables.iter() {
            self.with(table, &mut change);
        }
    }

    fn with(&self, table: &Table, use_slot: impl FnOnce(&mut Slot)) {
        let at = (table.hash() % SLOTS as u64) as usize;
        // Nothing in here panics half way through a change, so a poisoned lock still guards a whole slot.
        use_slot(&mut self.slots[at].lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stamp::Writers;

    const LEASE: Duration = Duration::from_secs(30);

    #[test]
    fn a_commit_changes_the_stamp_and_a_rollback_restores_it() {
        let (epochs, now) = (Epochs::new(), Instant::now());
        let (written, other) = (Tables::new(["a", "b"]), Tables::new(["c"]));
        let (before, untouched) = (epochs.look(&written, now), epochs.look(&other, now));

        let writer = epochs.next_writer();
        epochs.begin(&written, writer, now, now + LEASE);
        let during = epochs.look(&Tables::new(["a"]), now);
        assert_eq!(during.writers, Writers::Present);
        epochs.roll_back(&written, writer);
        assert_eq!(epochs.look(&written, now), before);

        epochs.begin(&written, writer, now, now + LEASE);
        assert_ne!(
            epochs.look(&Tables::new(["a"]), now).stamp,
            during.stamp,
            "readers of two writes share no fill"
        );
        epochs.change(&written, Some(writer));
        let after = epochs.look(&written, now);
        assert_eq!(after.writers, Writers::None);
        assert_ne!(after.stamp, before.stamp);
        assert_eq!(epochs.look(&other, now), untouched);
    }

    #[test]
    fn a_writer_whose_lease_ends_counts_as_committed() {
        let (epochs, now) = (Epochs::new(), Instant::now());
        let tables = Tables::new(["a"]);
        let before = epochs.look(&tables, now);
        epochs.begin(&tables, epochs.next_writer(), now, now + LEASE);
        assert_eq!(epochs.look(&tables, now + LEASE / 2).writers, Writers::Present);
        let after = epochs.look(&tables, now + LEASE);
        assert_eq!(after.writers, Writers::None);
        assert_ne!(after.stamp, before.stamp);
    }

    #[test]
    fn writers_end_one_by_one() {
        let (epochs, now) = (Epochs::new(), Instant::now());
        let tables = Tables::new(["a"]);
        let (one, two) = (epochs.next_writer(), epochs.next_writer());
        epochs.begin(&tables, one, now, now + LEASE);
        epochs.begin(&tables, two, now, now + LEASE);
        epochs.change(&tables, Some(one));
        assert_eq!(epochs.look(&tables, now).writers, Writers::Present);
        epochs.change(&tables, Some(two));
        assert_eq!(epochs.look(&tables, now).writers, Writers::None);
    }

    #[test]
    fn everything_changes_at_once() {
        let (epochs, now) = (Epochs::new(), Instant::now());
        let before = epochs.look(&Tables::default(), now);
        epochs.change_all();
        assert_ne!(epochs.look(&Tables::default(), now), before);
    }
}
