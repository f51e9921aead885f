//! A bounded table whose lines are found by an index: the hot path looks nothing up.

use hashbrown::HashTable;

const INDEX_BITS: u32 = 13;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
/// Lines at most that a table can be made for, the one of all others included.
pub(crate) const LINES_MAX: usize = 1 << INDEX_BITS;
/// Lines looked at to find one that was not used for long.
const LOOK_AT: usize = 16;

/// Where a line is. A place that was given to another line since is not current any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place(u32);

impl Place {
    /// The line of everything that has none of its own.
    pub(crate) const OTHER: Self = Self(0);
    /// Not looked for yet. Never current.
    pub(crate) const UNKNOWN: Self = Self(u32::MAX);

    fn new(index: usize, generation: u32) -> Self {
        Self(generation << INDEX_BITS | index as u32 & INDEX_MASK)
    }

    fn index(self) -> usize {
        (self.0 & INDEX_MASK) as usize
    }

    fn generation(self) -> u32 {
        self.0 >> INDEX_BITS
    }

    pub(crate) fn to_bits(self) -> u32 {
        self.0
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// What a line must be able to do.
pub(crate) trait Line {
    /// The line of all others.
    fn others() -> Self;
    /// Takes over the figures of a line that has to go.
    fn absorb(&mut self, gone: &Self);
}

#[derive(Debug)]
struct Slot<L> {
    generation: u32,
    hash: u64,
    used: u64,
    line: L,
}

/// Lines by their keys. When it is full, one that was not used for long goes into the line of all others.
#[derive(Debug)]
pub(crate) struct Table<L> {
    slots: Vec<Slot<L>>,
    /// Slots in use, from the front.
    live: usize,
    by_key: HashTable<u32>,
    /// Where the search for a line to give up goes on.
    hand: usize,
    lines_max: usize,
}

impl<L: Line> Table<L> {
    /// At most `lines_max` lines beside the one of all others.
    pub(crate) fn new(lines_max: usize) -> Self {
        let others = Slot { generation: 0, hash: 0, used: 0, line: L::others() };
        Self {
            slots: vec![others],
            live: 1,
            by_key: HashTable::new(),
            hand: 1,
            lines_max: lines_max.clamp(1, LINES_MAX - 2) + 1,
        }
    }

    #[inline]
    pub(crate) fn is_current(&self, place: Place) -> bool {
        self.slots.get(place.index()).is_some_and(|slot| slot.generation == place.generation())
    }

    /// The line at a place, or the one of all others when there is none. `used` only grows, and says when.
    #[inline]
    pub(crate) fn line_mut(&mut self, place: Place, used: u64) -> Option<&mut L> {
        if !self.is_current(place) {
            return self.slots.first_mut().map(|slot| &mut slot.line);
        }
        let slot = self.slots.get_mut(place.index())?;
        slot.used = used;
        Some(&mut slot.line)
    }

    /// The line at a place, unless that was given away.
    pub(crate) fn line(&self, place: Place) -> Option<&L> {
        let slot = self.slots.get(place.index())?;
        (slot.generation == place.generation()).then_some(&slot.line)
    }

    /// The place of a line that exists.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(&L) -> bool) -> Option<Place> {
        let slot = |index: &u32| self.slots.get(*index as usize);
        let found = self.by_key.find(hash, |index| slot(index).is_some_and(|slot| is_it(&slot.line)));
        let index = *found? as usize;
        Some(Place::new(index, self.slots.get(index)?.generation))
    }

    /// A line that does not exist yet; returns the one that had to go for it.
    pub(crate) fn insert(&mut self, hash: u64, line: L, used: u64) -> (Place, Option<L>) {
        let (index, gone) = if self.live < self.lines_max {
            let index = self.live;
            self.live += 1;
            match self.slots.get_mut(index) {
                Some(slot) => (slot.hash, slot.used, slot.line) = (hash, used, line),
                None => self.slots.push(Slot { generation: 0, hash, used, line }),
            }
            (index, None)
        } else {
            self.replace(hash, line, used)
        };
        let slots = &self.slots;
        let hash_of = |index: &u32| slots.get(*index as usize).map_or(0, |slot| slot.hash);
        self.by_key.insert_unique(hash, index as u32, hash_of);
        let generation = self.slots.get(index).map_or(0, |slot| slot.generation);
        (Place::new(index, generation), gone)
    }

    fn replace(&mut self, hash: u64, line: L, used: u64) -> (usize, Option<L>) {
        let index = self.least_used();
        let Some(slot) = self.slots.get_mut(index) else { return (0, None) };
        let known = self.by_key.find_entry(slot.hash, |known| *known as usize == index);
        if let Ok(entry) = known {
            entry.remove();
        }
        slot.generation = next(slot.generation);
        (slot.hash, slot.used) = (hash, used);
        let gone = std::mem::replace(&mut slot.line, line);
        if let Some(others) = self.slots.first_mut() {
            others.line.absorb(&gone);
        }
        (index, Some(gone))
    }

    /// Of a few lines, the one that was not used for longest.
    fn least_used(&mut self) -> usize {
        let count = self.live - 1;
        let candidates = (0..LOOK_AT.min(count)).map(|step| 1 + (self.hand - 1 + step) % count);
        let oldest = candidates.min_by_key(|index| self.slots.get(*index).map_or(0, |slot| slot.used));
        self.hand = 1 + (self.hand - 1 + LOOK_AT) % count;
        oldest.unwrap_or(1)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.by_key.clear();
        self.live = 1;
        self.hand = 1;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.line = L::others();
            // The line of all others stays what it is.
            slot.generation = if index == 0 { 0 } else { next(slot.generation) };
        }
    }

    /// Up to `count` lines from an index on, and where to go on.
    pub(crate) fn page(&self, from: usize, count: usize) -> (impl Iterator<Item = &L>, Option<usize>) {
        let end = (from + count).min(self.live);
        let lines = self.slots.get(from.min(end)..end).unwrap_or_default().iter().map(|slot| &slot.line);
        (lines, (end < self.live).then_some(end))
    }
}

/// [`Place::UNKNOWN`] keeps the last generation for itself.
fn next(generation: u32) -> u32 {
    (generation + 1) % ((1 << (u32::BITS - INDEX_BITS)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Count(u64, u64);

    impl Line for Count {
        fn others() -> Self {
            Self(u64::MAX, 0)
        }
        fn absorb(&mut self, gone: &Self) {
            self.1 += gone.1;
        }
    }

    fn count(table: &mut Table<Count>, key: u64, used: u64) -> Place {
        let found = table.find(key, |line| line.0 == key);
        let place = found.unwrap_or_else(|| table.insert(key, Count(key, 0), used).0);
        table.line_mut(place, used).unwrap().1 += 1;
        place
    }

    fn total(table: &Table<Count>) -> u64 {
        table.page(0, LINES_MAX).0.map(|line| line.1).sum()
    }

    #[test]
    fn totals_stay_right_whatever_goes() {
        let mut table = Table::new(50);
        let mut rng = fastrand::Rng::with_seed(1);
        let mut places = Vec::new();
        for turn in 0..20_000 {
            let key = if rng.bool() { rng.u64(..10) } else { rng.u64(..1_000) };
            places.push((key, count(&mut table, key, turn)));
            assert!(table.page(0, LINES_MAX).0.count() <= 51);
            assert_eq!(total(&table), turn + 1);
        }
        for (key, place) in places {
            assert!(table.line(place).is_none_or(|line| line.0 == key), "{key} is not somebody else's");
        }
        let often = (0..10).filter(|key| table.find(*key, |line| line.0 == *key).is_some()).count();
        assert!(often >= 8, "what is used stays: {often}");
    }

    #[test]
    fn a_place_of_before_is_everybodys() {
        let mut table = Table::new(5);
        let place = count(&mut table, 1, 1);
        table.clear();
        assert!(
            !table.is_current(place) && table.is_current(Place::OTHER) && !table.is_current(Place::UNKNOWN)
        );
        table.line_mut(place, 2).unwrap().1 += 1;
        assert_eq!(table.line(Place::OTHER), Some(&Count(u64::MAX, 1)));
        let again = count(&mut table, 1, 1);
        assert!(again != place && table.line(again).is_some());
        assert_eq!(table.page(0, 1).1, Some(1));
    }
}
