//! The tables, and how executions get into them.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hashbrown::DefaultHashBuilder;

use super::capture::{CaptureSettings, EXECUTIONS_MAX, Sample};
use super::figures::Execution;
use super::lines::{PoolName, SourceLine, StatementLine, StatementName};
use super::repeats::{Repeats, Run, Step, Surrounding};
use super::table::{Place, Table};
use super::text::{Normalizer, TEXT_BYTES_MAX};
use crate::core::ids::PoolIndex;

/// Statements that have a line of their own, on each worker.
const STATEMENTS_MAX: usize = 5_000;
/// Pairs of an application and a user.
const SOURCES_MAX: usize = 2_000;
/// Texts that were met before, by their hashes: 64 KiB.
const SEEN_TEXTS: usize = 4_096;
/// The types of more parameters are not kept.
const TYPES_BYTES_MAX: usize = 2 + 4 * 64;
/// All captured parameters of a worker.
const CAPTURED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is measured of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasureSettings {
    /// Whether anything is.
    pub is_on: bool,
    /// Whether parameters of slow executions are kept.
    pub capture: Option<CaptureSettings>,
}

impl Default for MeasureSettings {
    fn default() -> Self {
        Self { is_on: true, capture: None }
    }
}

/// What is measured of one client: 28 bytes for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientMeasure {
    source: Place,
    run: Run,
}

impl Default for ClientMeasure {
    fn default() -> Self {
        Self { source: Place::UNKNOWN, run: Run::default() }
    }
}

impl ClientMeasure {
    /// The client may call itself something else from now on.
    pub(crate) fn forget_application(&mut self) {
        self.source = Place::UNKNOWN;
    }
}

/// The place of a prepared statement in the pool that used it last.
#[derive(Debug)]
pub(crate) struct PlaceInPool(AtomicU64);

impl Default for PlaceInPool {
    fn default() -> Self {
        Self(AtomicU64::new(u64::from(u32::MAX) << 32 | u64::from(Place::UNKNOWN.to_bits())))
    }
}

impl PlaceInPool {
    #[inline]
    fn load(&self, pool: PoolIndex) -> Option<Place> {
        let both = self.0.load(Ordering::Relaxed);
        ((both >> 32) as u32 == pool.0).then(|| Place::from_bits(both as u32))
    }

    fn store(&self, pool: PoolIndex, place: Place) {
        self.0.store(u64::from(pool.0) << 32 | u64::from(place.to_bits()), Ordering::Relaxed);
    }
}

/// A text that has no known place yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unknown {
    hash: u64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    hash: u64,
    place: Place,
}

/// When what happens, in milliseconds since counting began.
#[derive(Debug, Default)]
pub(super) struct Clock {
    pub(super) began: Option<Instant>,
    last: Option<Instant>,
    last_ms: u32,
}

impl Clock {
    #[inline]
    fn ms(&mut self, now: Instant) -> u32 {
        // All of one turn has the same time.
        if self.last != Some(now) {
            let began = *self.began.get_or_insert(now);
            self.last = Some(now);
            self.last_ms = now.saturating_duration_since(began).as_millis() as u32;
        }
        self.last_ms
    }
}

/// All that is measured on one worker.
#[derive(Debug)]
pub(crate) struct Measures {
    settings: MeasureSettings,
    pub(super) clock: Clock,
    hasher: DefaultHashBuilder,
    /// By the hash of the client's own text and its pool.
    seen: Vec<Seen>,
    normalizer: Normalizer,
    pools: Vec<Option<Arc<PoolName>>>,
    pub(super) statements: Table<StatementLine>,
    pub(super) sources: Table<SourceLine>,
    pub(super) repeats: Repeats,
    /// Statements with captured parameters, oldest first.
    captured: VecDeque<Place>,
    captured_bytes: usize,
    /// Executions and new lines so far: the age of a line.
    uses: u64,
}

impl Measures {
    pub(crate) fn new(settings: MeasureSettings) -> Self {
        Self {
            settings,
            clock: Clock::default(),
            hasher: DefaultHashBuilder::default(),
            seen: Vec::new(),
            normalizer: Normalizer::default(),
            pools: Vec::new(),
            statements: Table::new(STATEMENTS_MAX),
            sources: Table::new(SOURCES_MAX),
            uses: 0,
            repeats: Repeats::new(),
            captured: VecDeque::new(),
            captured_bytes: 0,
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.settings.is_on
    }

    pub(crate) fn capture(&self) -> Option<CaptureSettings> {
        self.settings.capture.filter(|_| self.settings.is_on)
    }

    /// Counting begins, unless it has.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.clock.began.get_or_insert(now);
    }

    /// Forgets everything and begins anew.
    pub(crate) fn reset(&mut self, now: Instant) {
        self.clock = Clock { began: Some(now), ..Clock::default() };
        self.statements.clear();
        self.sources.clear();
        self.repeats.table.clear();
        self.captured.clear();
        self.captured_bytes = 0;
    }

    /// The place of a text, if it was met before just as it is.
    #[inline]
    pub(crate) fn known(&self, pool: PoolIndex, text: &[u8]) -> Result<Place, Unknown> {
        let looked_at = text.get(..=TEXT_BYTES_MAX).unwrap_or(text);
        let mut hasher = self.hasher.build_hasher();
        hasher.write(looked_at);
        let hash = hasher.finish() ^ u64::from(pool.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match self.seen.get(hash as usize % SEEN_TEXTS) {
            Some(seen) if seen.hash == hash && self.statements.is_current(seen.place) => Ok(seen.place),
            _ => Err(Unknown { hash }),
        }
    }

    /// The place of a prepared statement, if its pool used it last.
    #[inline]
    pub(crate) fn known_prepared(&self, pool: PoolIndex, place: &PlaceInPool) -> Option<Place> {
        place.load(pool).filter(|place| self.statements.is_current(*place))
    }

    /// As [`Measures::known`] and [`Measures::learn`], for a prepared statement.
    #[cold]
    pub(crate) fn learn_prepared(
        &mut self,
        pool: PoolIndex,
        (database, user): (&str, &str),
        text: &[u8],
        place_in_pool: &PlaceInPool,
    ) -> Place {
        let place = match self.known(pool, text) {
            Ok(place) => place,
            Err(unknown) => self.learn(unknown, pool, (database, user), text),
        };
        place_in_pool.store(pool, place);
        place
    }

    /// Finds or makes the line of a text.
    #[cold]
    pub(crate) fn learn(
        &mut self,
        unknown: Unknown,
        pool: PoolIndex,
        (database, user): (&str, &str),
        text: &[u8],
    ) -> Place {
        self.uses += 1;
        let pool = self.pool_name(pool, database, user);
        let mut normalizer = std::mem::take(&mut self.normalizer);
        let normalized = normalizer.normalize(text);
        let hash = self.hasher.hash_one((Arc::as_ptr(&pool) as usize, normalized));
        let place = match self.statements.find(hash, |line| line.name.is(&pool, normalized)) {
            Some(place) => place,
            None => {
                let name = Arc::new(StatementName { pool, normalized: normalized.into() });
                let (place, gone) = self.statements.insert(hash, StatementLine::new(name), self.uses);
                let captured = gone.into_iter().flat_map(|gone| gone.captured);
                self.captured_bytes -= captured.map(|captured| captured.bytes()).sum::<usize>();
                place
            }
        };
        self.normalizer = normalizer;
        if self.seen.is_empty() {
            self.seen = vec![Seen { hash: 0, place: Place::UNKNOWN }; SEEN_TEXTS];
        }
        if let Some(seen) = self.seen.get_mut(unknown.hash as usize % SEEN_TEXTS) {
            *seen = Seen { hash: unknown.hash, place };
        }
        place
    }

    fn pool_name(&mut self, pool: PoolIndex, database: &str, user: &str) -> Arc<PoolName> {
        let place = pool.0 as usize;
        if self.pools.len() <= place {
            self.pools.resize(place + 1, None);
        }
        let new = || Arc::new(PoolName { database: database.into(), user: user.into() });
        match self.pools.get_mut(place) {
            Some(name) => Arc::clone(name.get_or_insert_with(new)),
            None => new(),
        }
    }

    /// Whether the client's application and user have their place.
    #[inline]
    pub(crate) fn is_identified(&self, client: &ClientMeasure) -> bool {
        self.sources.is_current(client.source)
    }

    #[cold]
    pub(crate) fn identify(&mut self, client: &mut ClientMeasure, application: &str, user: &str) {
        let hash = self.hasher.hash_one((application, user));
        let is_it = |line: &SourceLine| *line.application == *application && *line.user == *user;
        let found = self.sources.find(hash, is_it);
        self.uses += 1;
        let new = || SourceLine::new(application, user);
        client.source = found.unwrap_or_else(|| self.sources.insert(hash, new(), self.uses).0);
    }

    /// An execution has ended. The client has been identified.
    #[inline]
    pub(crate) fn executed(
        &mut self,
        client: &mut ClientMeasure,
        place: Place,
        execution: &Execution,
        surrounding: Surrounding,
        now: Instant,
    ) {
        self.uses += 1;
        let Some(line) = self.statements.line_mut(place, self.uses) else { return };
        line.count(execution, client.source);
        let kind = line.kind;
        if let Some(line) = self.sources.line_mut(client.source, self.uses) {
            line.figures.count(execution);
        }
        let at_ms = self.clock.ms(now);
        let exec_us = execution.exec_us;
        match client.run.step(place, kind, exec_us, surrounding, at_ms) {
            Step::Nothing => {}
            Step::GoesOn => self.repeats.go_on(&client.run, exec_us),
            Step::Begins => self.begin_burst(client),
        }
    }

    #[cold]
    fn begin_burst(&mut self, client: &mut ClientMeasure) {
        let statements = &self.statements;
        self.repeats
            .begin(&mut client.run, |place| statements.line(place).map(|line| Arc::clone(&line.name)));
    }

    /// A statement has failed before it was executed.
    #[cold]
    pub(crate) fn not_prepared(&mut self, client: &ClientMeasure, place: Place) {
        self.uses += 1;
        if let Some(line) = self.statements.line_mut(place, self.uses) {
            line.figures.count_error();
        }
        if let Some(line) = self.sources.line_mut(client.source, self.uses) {
            line.figures.count_error();
        }
    }

    /// Keeps the parameters of an execution if it was slow.
    pub(crate) fn capture_if_slow(&mut self, place: Place, sample: &Sample, exec_us: u64, now: Instant) {
        let Some(settings) = self.capture() else { return };
        let is_slow = Duration::from_micros(exec_us) >= settings.threshold;
        if !is_slow || place == Place::OTHER || !self.statements.is_current(place) {
            return;
        }
        let types = self.statements.line(place).map_or(&[][..], |line| &line.types);
        let captured = sample.captured(exec_us, now, settings.redaction, types, &mut self.normalizer);
        self.captured_bytes += captured.bytes();
        self.captured.push_back(place);
        if let Some(line) = self.statements.line_mut(place, self.uses) {
            let kept = &mut line.captured;
            kept.push_back(captured);
            if kept.len() > EXECUTIONS_MAX {
                self.captured_bytes -= kept.pop_front().map_or(0, |gone| gone.bytes());
            }
        }
        self.bound_captured();
    }

    /// The server has told the types of a statement's parameters.
    pub(crate) fn described(&mut self, place: Place, types: &[u8]) {
        if place != Place::OTHER
            && types.len() <= TYPES_BYTES_MAX
            && self.statements.is_current(place)
            && let Some(line) = self.statements.line_mut(place, self.uses)
            && *line.types != *types
        {
            line.types = types.into();
        }
    }

    /// The oldest go first. A statement is in the queue once for each execution captured, those gone since included.
    fn bound_captured(&mut self) {
        while self.captured_bytes > CAPTURED_BYTES_MAX
            || self.captured.len() > STATEMENTS_MAX * EXECUTIONS_MAX
        {
            let Some(place) = self.captured.pop_front() else { return };
            let line = self
                .statements
                .is_current(place)
                .then(|| self.statements.line_mut(place, self.uses))
                .flatten();
            let gone = line.and_then(|line| line.captured.pop_front());
            self.captured_bytes -= gone.map_or(0, |gone| gone.bytes());
        }
    }
}
