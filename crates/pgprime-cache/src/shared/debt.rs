//! Changes that Redis has to be told: at once, or when it can be reached again.

use std::collections::VecDeque;

use crate::epochs::WriterId;
use crate::tables::Tables;

/// The number of a change; they are told in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(u64);

/// A change of tables, or of everything.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Tables { tables: Tables, writer: Option<WriterId> },
    Everything,
}

impl Change {
    fn weight(&self) -> usize {
        match self {
            // A change without tables takes its place, too.
            Change::Tables { tables, .. } => tables.len().max(1),
            Change::Everything => 1,
        }
    }
}

/// Changes of one journey to Redis, up to the number.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    pub(crate) through: Number,
}

/// Tables told at once, unless a single change has more.
const BATCH_TABLES_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct Debt {
    owed: VecDeque<(Number, Change)>,
    weight: usize,
    weight_max: usize,
    last: Number,
    settled: Number,
    /// Changes up to here have nobody who is waiting for them.
    abandoned: Number,
    overflowed: u64,
}

impl Debt {
    pub(crate) fn new(weight_max: usize) -> Debt {
        Debt {
            owed: VecDeque::new(),
            weight: 0,
            weight_max,
            last: Number(0),
            settled: Number(0),
            abandoned: Number(0),
            overflowed: 0,
        }
    }

    pub(crate) fn owe(&mut self, change: Change) -> Number {
        self.last.0 += 1;
        self.weight += change.weight();
        self.owed.push_back((self.last, change));
        if self.weight > self.weight_max {
            self.owed.clear();
            self.owed.push_back((self.last, Change::Everything));
            self.weight = 1;
            self.overflowed += 1;
        }
        self.last
    }

    /// The next changes to tell. They are owed until `settle`, so a journey that is broken off is made again.
    pub(crate) fn batch(&self) -> Option<Batch> {
        let mut batch = Batch { changes: Vec::new(), through: self.settled };
        let mut weight = 0;
        for (number, change) in &self.owed {
            weight += change.weight();
            if weight > BATCH_TABLES_MAX && !batch.changes.is_empty() {
                break;
            }
            batch.changes.push(change.clone());
            batch.through = *number;
        }
        (!batch.changes.is_empty()).then_some(batch)
    }

    pub(crate) fn settle(&mut self, through: Number) {
        self.settled = self.settled.max(through);
        self.owed.retain(|(number, _)| *number > through);
        self.weight = self.owed.iter().map(|(_, change)| change.weight()).sum();
    }

    pub(crate) fn is_settled(&self, number: Number) -> bool {
        number <= self.settled
    }

    /// Nobody waits for `number` any more: Redis must not be trusted before it is settled.
    pub(crate) fn abandon(&mut self, number: Number) {
        self.abandoned = self.abandoned.max(number);
    }

    /// What has to be settled before Redis is trusted.
    pub(crate) fn overdue(&self) -> Option<Number> {
        (self.abandoned > self.settled).then_some(self.abandoned)
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(tables: usize) -> Change {
        Change::Tables {
            tables: Tables::new(
                (0..tables).map(|table| format!("t{table}")).map(|name| crate::tables::Table::new(&name)),
            ),
            writer: None,
        }
    }

    #[test]
    fn changes_are_owed_until_they_are_settled_in_their_order() {
        let mut debt = Debt::new(1000);
        assert!(debt.batch().is_none());
        let (one, two) = (debt.owe(change(2)), debt.owe(change(3)));
        let batch = debt.batch().unwrap();
        assert_eq!((batch.changes.len(), batch.through), (2, two));
        assert!(!debt.is_settled(one));
        let three = debt.owe(change(1));
        debt.settle(batch.through);
        assert!(debt.is_settled(one) && debt.is_settled(two) && !debt.is_settled(three));
        assert_eq!(debt.weight(), 1);
        debt.settle(three);
        assert!(debt.batch().is_none());
        assert_eq!(debt.weight(), 0);
    }

    #[test]
    fn beyond_the_bound_everything_is_owed_instead() {
        let mut debt = Debt::new(10);
        let first = debt.owe(change(10));
        let last = debt.owe(change(1));
        assert!(matches!(debt.batch().unwrap().changes[..], [Change::Everything]));
        assert_eq!((debt.weight(), debt.overflowed()), (1, 1));
        debt.settle(last);
        assert!(debt.is_settled(first));
    }

    #[test]
    fn journeys_are_bounded_but_a_large_change_travels_alone() {
        let mut debt = Debt::new(10_000);
        for size in [200, 200, 1000, 1] {
            debt.owe(change(size));
        }
        let mut sizes = Vec::new();
        while let Some(batch) = debt.batch() {
            sizes.push(batch.changes.len());
            debt.settle(batch.through);
        }
        assert_eq!(sizes, [1, 1, 1, 1]);
    }

    #[test]
    fn only_what_nobody_waits_for_is_overdue() {
        let mut debt = Debt::new(10);
        let one = debt.owe(change(1));
        assert_eq!(debt.overdue(), None);
        debt.abandon(one);
        assert_eq!(debt.overdue(), Some(one));
        debt.settle(one);
        assert_eq!(debt.overdue(), None);
    }
}
