//! The same statement again and again by one client: what a loop in an application looks like from here, where one
//! statement would have done (N+1).

use std::sync::Arc;

use super::lines::StatementName;
use super::table::{Line, Place, Table};
use super::text::Kind;

/// So many executions in a row within [`WINDOW_MS`] are a burst.
const IN_A_ROW_MIN: u32 = 20;
/// So many in a row within one transaction are one, however long that takes.
const IN_TRANSACTION_MIN: u32 = 10;
/// A burst begins within this time, and ends after as long a pause.
const WINDOW_MS: u32 = 1_000;
/// Pairs of a statement and the one before it that are told of at most.
const PAIRS_MAX: usize = 1_000;
/// In the count of a run: it began in an earlier transaction.
const SPANS: u32 = 1 << 31;

/// What a client has run last. Every client has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    statement: Place,
    /// The different statement before.
    parent: Place,
    /// Where its burst is counted, if it has become one.
    burst: Place,
    count: u32,
    /// When it began; in a burst, when it went on last. Milliseconds of the worker's own count.
    at_ms: u32,
    exec_us: u32,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            statement: Place::UNKNOWN,
            parent: Place::UNKNOWN,
            burst: Place::UNKNOWN,
            count: 0,
            at_ms: 0,
            exec_us: 0,
        }
    }
}

/// Where a client is when an execution has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surrounding {
    Transaction,
    Alone,
}

/// What a step of a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    /// The run has become a burst.
    Begins,
    /// An execution more of one.
    GoesOn,
}

impl Run {
    /// Takes note of an execution.
    #[inline]
    pub(crate) fn step(
        &mut self,
        statement: Place,
        kind: Kind,
        exec_us: u64,
        surrounding: Surrounding,
        at_ms: u32,
    ) -> Step {
        if kind == Kind::Control {
            if surrounding == Surrounding::Alone {
                self.count |= SPANS;
            }
            return Step::Nothing;
        }
        let exec_us = u32::try_from(exec_us).unwrap_or(u32::MAX);
        // Many different statements share that place.
        if statement != self.statement || statement == Place::OTHER {
            let burst = Place::UNKNOWN;
            *self = Self { statement, parent: self.statement, burst, count: 1, at_ms, exec_us };
            return Step::Nothing;
        }
        self.step_again(exec_us, surrounding, at_ms)
    }

    fn step_again(&mut self, exec_us: u32, surrounding: Surrounding, at_ms: u32) -> Step {
        let is_one_transaction = surrounding == Surrounding::Transaction && self.count & SPANS == 0;
        if at_ms.wrapping_sub(self.at_ms) > WINDOW_MS && !is_one_transaction {
            (self.burst, self.count, self.at_ms, self.exec_us) = (Place::UNKNOWN, 1, at_ms, exec_us);
            return Step::Nothing;
        }
        self.count = self.count.wrapping_add(1) & !SPANS | self.count & SPANS;
        if self.burst != Place::UNKNOWN {
            self.at_ms = at_ms;
            return Step::GoesOn;
        }
        self.exec_us = self.exec_us.saturating_add(exec_us);
        let needed = if is_one_transaction { IN_TRANSACTION_MIN } else { IN_A_ROW_MIN };
        if self.length() < needed {
            return Step::Nothing;
        }
        self.at_ms = at_ms;
        Step::Begins
    }

    fn length(&self) -> u32 {
        self.count & !SPANS
    }
}

/// Bursts of one statement after another.
#[derive(Debug)]
pub(crate) struct RepeatLine {
    places: (Place, Place),
    pub(crate) statement: Arc<StatementName>,
    pub(crate) parent: Option<Arc<StatementName>>,
    pub(crate) bursts: u64,
    pub(crate) longest: u64,
    pub(crate) executions: u64,
    pub(crate) exec_us: u64,
}

impl Line for RepeatLine {
    fn others() -> Self {
        Self {
            places: (Place::OTHER, Place::OTHER),
            statement: StatementName::others(),
            parent: None,
            bursts: 0,
            longest: 0,
            executions: 0,
            exec_us: 0,
        }
    }

    fn absorb(&mut self, gone: &Self) {
        self.bursts += gone.bursts;
        self.longest = self.longest.max(gone.longest);
        self.executions += gone.executions;
        self.exec_us += gone.exec_us;
    }
}

/// All bursts of a worker.
#[derive(Debug)]
pub(crate) struct Repeats {
    pub(crate) table: Table<RepeatLine>,
    uses: u64,
}

impl Repeats {
    pub(crate) fn new() -> Self {
        Self { table: Table::new(PAIRS_MAX), uses: 0 }
    }

    /// A run has become a burst: what it did so far counts. `name_of` knows the statements.
    pub(crate) fn begin(&mut self, run: &mut Run, name_of: impl Fn(Place) -> Option<Arc<StatementName>>) {
        self.uses += 1;
        let places = (run.statement, run.parent);
        let hash = u64::from(places.0.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ u64::from(places.1.to_bits()).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        let place = match self.table.find(hash, |line| line.places == places) {
            Some(place) => place,
            None => {
                let Some(statement) = name_of(places.0) else { return };
                let parent = name_of(places.1);
                let line = RepeatLine { places, statement, parent, ..RepeatLine::others() };
                self.table.insert(hash, line, self.uses).0
            }
        };
        run.burst = place;
        let executions = u64::from(run.length());
        if let Some(line) = self.table.line_mut(place, self.uses) {
            line.bursts += 1;
            line.executions += executions;
            line.exec_us += u64::from(run.exec_us);
            line.longest = line.longest.max(executions);
        }
    }

    pub(crate) fn go_on(&mut self, run: &Run, exec_us: u64) {
        if let Some(line) = self.table.line_mut(run.burst, self.uses) {
            line.executions += 1;
            line.exec_us += exec_us;
            line.longest = line.longest.max(u64::from(run.length()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker with two statements.
    struct Scene {
        repeats: Repeats,
        run: Run,
        parent: Place,
        child: Place,
    }

    impl Scene {
        fn new() -> Self {
            let mut places: Table<RepeatLine> = Table::new(10);
            let mut place = |key| places.insert(key, RepeatLine::others(), 0).0;
            let (parent, child) = (place(1), place(2));
            Self { repeats: Repeats::new(), run: Run::default(), parent, child }
        }

        fn step(&mut self, statement: Place, kind: Kind, surrounding: Surrounding, at_ms: u32) {
            match self.run.step(statement, kind, 5, surrounding, at_ms) {
                Step::Nothing => {}
                Step::Begins => self.repeats.begin(&mut self.run, |_| Some(StatementName::others())),
                Step::GoesOn => self.repeats.go_on(&self.run, 5),
            }
        }

        fn bursts(&self) -> (u64, u64, u64, u64) {
            let lines = self.repeats.table.page(0, 100).0;
            lines.fold((0, 0, 0, 0), |sum, line| {
                let longest = sum.1.max(line.longest);
                (sum.0 + line.bursts, longest, sum.2 + line.executions, sum.3 + line.exec_us)
            })
        }
    }

    #[test]
    fn twenty_in_a_second_are_a_burst() {
        for (count, gap_ms, expected) in [
            (19, 1, (0, 0, 0, 0)),
            (20, 1, (1, 20, 20, 100)),
            (50, 40, (1, 50, 50, 250)),
            (100, 60, (0, 0, 0, 0)),
        ] {
            let mut scene = Scene::new();
            scene.step(scene.parent, Kind::Work, Surrounding::Alone, 0);
            (0..count)
                .for_each(|turn| scene.step(scene.child, Kind::Work, Surrounding::Alone, turn * gap_ms));
            assert_eq!(scene.bursts(), expected, "{count} every {gap_ms} ms");
        }
    }

    #[test]
    fn ten_in_a_transaction_are_a_burst() {
        let mut scene = Scene::new();
        scene.step(scene.parent, Kind::Control, Surrounding::Transaction, 0);
        scene.step(scene.parent, Kind::Work, Surrounding::Transaction, 0);
        for turn in 0..12 {
            scene.step(scene.child, Kind::Work, Surrounding::Transaction, turn * 5_000);
        }
        scene.step(scene.child, Kind::Control, Surrounding::Alone, 60_000);
        assert_eq!(scene.bursts(), (1, 12, 12, 60));
        assert_eq!(scene.run.parent, scene.parent);
    }

    #[test]
    fn transactions_between_neither_end_nor_make_one() {
        for (count, expected) in [(15, 0), (25, 1)] {
            let mut scene = Scene::new();
            for turn in 0..count {
                scene.step(scene.parent, Kind::Control, Surrounding::Transaction, turn);
                scene.step(scene.child, Kind::Work, Surrounding::Transaction, turn);
                scene.step(scene.parent, Kind::Control, Surrounding::Alone, turn);
            }
            assert_eq!(scene.bursts().0, expected, "{count}");
        }
    }

    #[test]
    fn a_pause_or_another_statement_ends_one() {
        let mut scene = Scene::new();
        for burst in 0..3u32 {
            (0..20).for_each(|_| scene.step(scene.child, Kind::Work, Surrounding::Alone, burst * 10_000));
        }
        scene.step(scene.parent, Kind::Work, Surrounding::Alone, 20_001);
        (0..19).for_each(|_| scene.step(scene.child, Kind::Work, Surrounding::Alone, 20_002));
        assert_eq!(scene.bursts(), (3, 20, 60, 300));
        (0..50).for_each(|_| scene.step(Place::OTHER, Kind::Work, Surrounding::Alone, 20_003));
        assert_eq!(scene.bursts().0, 3, "statements without a line of their own may differ");
    }
}
