//! The epochs of tables in this process.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// All tables at once: its epoch and its writers are those of every table.
    everything: Mutex<Slot>,
    /// The epoch of everything and the number of its writers, for those who look: mostly there is none of these.
    generation: AtomicU64,
    writers_of_everything: AtomicUsize,
    next_writer: AtomicU64,
}

impl Epochs {
    pub(crate) fn new() -> Epochs {
        let slots = std::iter::repeat_with(Mutex::default).take(SLOTS).collect();
        Epochs {
            slots,
            everything: Mutex::default(),
            generation: AtomicU64::new(0),
            writers_of_everything: AtomicUsize::new(0),
            next_writer: AtomicU64::new(1),
        }
    }

    /// What holds for `tables` now.
    pub(crate) fn look(&self, tables: &Tables, now: Instant) -> Seen {
        let mut stamper = Stamper::new();
        // A writer that comes or goes between the two is under way at this moment: either order is one that could have been.
        if self.writers_of_everything.load(Ordering::SeqCst) > 0 {
            self.with_everything(|slot| slot.expire(now));
            let slot = locked(&self.everything);
            if !slot.writers.is_empty() {
                stamper.part(&slot.moves.to_be_bytes());
                stamper.writers_present();
            }
        }
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
        self.with_everything(|slot| slot.epoch += 1);
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
        if table.is_everything() {
            return self.with_everything(use_slot);
        }
        let at = (table.hash() % SLOTS as u64) as usize;
        use_slot(&mut locked(&self.slots[at]));
    }

    fn with_everything(&self, use_slot: impl FnOnce(&mut Slot)) {
        let mut slot = locked(&self.everything);
        use_slot(&mut slot);
        // The epoch first: who does not see the writer any more sees what it changed.
        self.generation.store(slot.epoch, Ordering::SeqCst);
        self.writers_of_everything.store(slot.writers.len(), Ordering::SeqCst);
    }
}

/// Nothing in here panics half way through a change, so a poisoned lock still guards a whole slot.
fn locked(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_writer_of_anything_is_a_writer_of_every_table() {
        let (epochs, now) = (Epochs::new(), Instant::now());
        let (tables, anything) = (Tables::new(["a"]), Tables::everything());
        let before = epochs.look(&tables, now);

        let writer = epochs.next_writer();
        epochs.begin(&anything, writer, now, now + LEASE);
        let during = epochs.look(&tables, now);
        assert_eq!(during.writers, Writers::Present);
        epochs.roll_back(&anything, writer);
        assert_eq!(epochs.look(&tables, now), before);

        epochs.begin(&anything, writer, now, now + LEASE);
        assert_ne!(epochs.look(&tables, now).stamp, during.stamp, "readers of two writes share no fill");
        epochs.change(&anything, Some(writer));
        let after = epochs.look(&tables, now);
        assert_eq!(after.writers, Writers::None);
        assert_ne!(after.stamp, before.stamp);

        epochs.begin(&anything, writer, now, now + LEASE);
        let later = epochs.look(&tables, now + LEASE);
        assert_eq!(later.writers, Writers::None, "its lease is over");
        assert_ne!(later.stamp, after.stamp);
    }

    #[test]
    fn everything_changes_at_once() {
        let (epochs, now) = (Epochs::new(), Instant::now());
        let before = epochs.look(&Tables::default(), now);
        epochs.change_all();
        assert_ne!(epochs.look(&Tables::default(), now), before);
    }
}
