//! The slow statements of a period, with their share, trend and evidence.

use std::cmp::Ordering;
use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use super::period::{Basis, Period};
use super::pooler::{PoolerFigures, PoolerRepeat, PoolerStatements};
use super::repeats::{self, RepeatHint};
use super::snapshot::{Hidden, Server, Snapshot};
use super::text;
use crate::Missing;
use crate::history::{Events, StatementKey, StatementTotals};

/// What the statements are ordered by, highest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Time of all executions.
    #[default]
    Total,
    /// Mean time of an execution.
    Mean,
    /// Executions.
    Calls,
    /// The longest execution, as far as it is known.
    Max,
    /// Standard deviation of the times.
    Stddev,
    /// Rows returned or changed.
    Rows,
    /// Blocks that were not in shared buffers.
    Read,
    /// Temporary blocks read and written.
    Temp,
    /// Bytes of the write-ahead log.
    Wal,
    /// Time of planning.
    Planning,
}

impl Order {
    /// All of them, with their names.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("total", Self::Total),
        ("mean", Self::Mean),
        ("calls", Self::Calls),
        ("max", Self::Max),
        ("stddev", Self::Stddev),
        ("rows", Self::Rows),
        ("read", Self::Read),
        ("temp", Self::Temp),
        ("wal", Self::Wal),
        ("planning", Self::Planning),
    ];

    /// The order of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, order)| *order)
    }

    fn value(self, statement: &StatementTotals) -> f64 {
        let counters = &statement.counters;
        match self {
            Self::Total => counters.exec_ms,
            Self::Mean => counters.exec_ms_mean().unwrap_or(0.0),
            Self::Calls => counters.calls,
            Self::Max => statement.extremes.max_seen_ms.unwrap_or(0.0),
            Self::Stddev => counters.exec_ms_stddev().unwrap_or(0.0),
            Self::Rows => counters.rows,
            Self::Read => counters.shared_read_blocks + counters.local_read_blocks,
            Self::Temp => counters.temp_read_blocks + counters.temp_written_blocks,
            Self::Wal => counters.wal_bytes,
            Self::Planning => counters.plan_ms,
        }
    }

    fn compare(self, one: &StatementTotals, other: &StatementTotals) -> Ordering {
        let by_value = self.value(other).total_cmp(&self.value(one));
        // The same numbers are the same order every time.
        by_value.then_with(|| one.identity.key.cmp(&other.identity.key))
    }
}

/// Which databases' statements are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Databases {
    /// That of the connection: only its statements can be analyzed over it.
    Own,
    /// All of the server.
    All,
}

/// What is told where no statement is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfNone {
    /// Those that took the most time, whichever order was asked for.
    MostTime,
    /// The first ones in the order that was asked for.
    InOrder,
}

/// What is asked of a report.
#[derive(Debug, Clone, Copy)]
pub struct ReportOptions<'a> {
    /// The order. Default total.
    pub order: Order,
    /// A statement with at least this mean is slow, in milliseconds. Default 1000.
    pub threshold_ms: f64,
    /// So is one with at least this maximum, as far as it is known. Default None.
    pub threshold_max_ms: Option<f64>,
    /// Statements that are told of at most. Default 20.
    pub limit: usize,
    /// Which databases' statements. Default those of the connection's.
    pub databases: Databases,
    /// What is told where none is slow. Default what took the most time.
    pub if_none: IfNone,
    /// What a pooler adds.
    pub pooler: Option<&'a PoolerStatements>,
}

impl Default for ReportOptions<'_> {
    fn default() -> Self {
        Self {
            order: Order::Total,
            threshold_ms: 1_000.0,
            threshold_max_ms: None,
            limit: 20,
            databases: Databases::Own,
            if_none: IfNone::MostTime,
            pooler: None,
        }
    }
}

/// The slow statements of a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowReport {
    /// The server, and who asked.
    pub server: Server,
    /// Where the figures come from.
    pub basis: Basis,
    /// The beginning of the period, by the server's clock.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Its length in seconds.
    pub seconds: f64,
    /// Intervals of the history that make it up; 1 without a history.
    pub recordings: u64,
    /// What happened to the counters meanwhile.
    pub events: Events,
    /// What the statements are ordered by.
    pub order: Order,
    /// From which mean on a statement is slow, in milliseconds.
    pub threshold_ms: f64,
    /// From which maximum on it is slow, in milliseconds.
    pub threshold_max_ms: Option<f64>,
    /// All statements together, this program's own left out.
    pub all: Sums,
    /// Statements that are slow; there may be more than are listed.
    pub slow_count: usize,
    /// Those that are slow; if none is, the first of all by `order`.
    pub statements: Vec<SlowStatement>,
    /// Statements that may be run once for each row of another; without those of which the pooler knows more.
    pub repeats: Vec<RepeatHint>,
    /// Since when the pooler has measured; None without a pooler.
    pub pooler_since: Option<Timestamp>,
    /// Statements that one client ran again and again, as the pooler has seen, the most expensive first.
    pub pooler_repeats: Vec<PoolerRepeat>,
    /// What this role may not see, since the extension's reset.
    pub hidden: Hidden,
    /// What limits the figures, in sentences.
    pub notes: Vec<String>,
    /// What could not be seen, and how it can be.
    pub missing: Vec<Missing>,
}

/// Many statements together. Those run within functions are part of the ones that call these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Sums {
    /// Different statements.
    pub statements: usize,
    /// Executions that clients asked for.
    pub calls: u64,
    /// Time of these, in milliseconds.
    pub exec_ms: f64,
}

/// One statement of a database and a role.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowStatement {
    /// PostgreSQL's hash, as `pgprime analyze --query-id` takes it: a text, as JSON's numbers are too short for it.
    pub query_id: String,
    /// The database; None when it was dropped.
    pub database: Option<String>,
    /// The role; None when it was dropped.
    pub role: Option<String>,
    /// Whether clients sent it, rather than functions run it.
    pub toplevel: bool,
    /// The whole text on one line, without comments; None when it could not be read.
    pub text: Option<String>,
    /// Whether it is slow.
    pub is_slow: bool,
    /// Whether pgprime sends statements like this one, too (`COMMIT`, `SAVEPOINT`, `DISCARD TEMP`), which the server does not
    /// tell apart: then its own executions may be among these. Those that can be told apart are left out.
    pub may_include_own: bool,
    /// Executions.
    pub calls: u64,
    /// Time of all executions, in milliseconds.
    pub exec_ms_total: f64,
    /// Its share of the time of all statements, 0 to 1.
    pub exec_share: f64,
    /// Mean time of an execution.
    pub exec_ms_mean: f64,
    /// Standard deviation.
    pub exec_ms_stddev: f64,
    /// The shortest execution; None when it is not known to belong to the period.
    pub exec_ms_min: Option<f64>,
    /// The longest execution; None when it is not known to belong to the period.
    pub exec_ms_max: Option<f64>,
    /// No execution was longer than this; None when that is not known either.
    pub exec_ms_max_bound: Option<f64>,
    /// Rows returned or changed.
    pub rows: u64,
    /// Rows of an execution.
    pub rows_per_call: f64,
    /// Blocks found in shared buffers.
    pub shared_hit_blocks: u64,
    /// Blocks that were not.
    pub shared_read_blocks: u64,
    /// The share that was found, 0 to 1; None when no block was asked for.
    pub hit_ratio: Option<f64>,
    /// Bytes that were read from outside shared buffers.
    pub read_bytes: u64,
    /// Bytes of temporary files read and written: sorts and hashes that did not fit into work_mem.
    pub temp_bytes: u64,
    /// Time of reading and writing blocks, in milliseconds; None when it is not measured.
    pub io_ms: Option<f64>,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Times it was planned; 0 when that is not measured.
    pub plans: u64,
    /// Time of planning, in milliseconds.
    pub plan_ms_total: f64,
    /// Time of compiling, in milliseconds.
    pub jit_ms: f64,
    /// How it did beside the time before; None when that is not recorded.
    pub trend: Option<Trend>,
    /// What a pooler has measured.
    pub pooler: Option<PoolerFigures>,
}

/// How a statement did beside the period before, of the same length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trend {
    /// It was not there before.
    New,
    /// It takes longer, by more than chance would explain.
    Slower {
        /// The mean before, in milliseconds.
        exec_ms_mean_before: f64,
        /// The mean now divided by that.
        factor: f64,
    },
    /// It takes less time, by more than chance would explain.
    Faster {
        /// The mean before, in milliseconds.
        exec_ms_mean_before: f64,
        /// The mean now divided by that.
        factor: f64,
    },
    /// It does as before.
    Steady {
        /// The mean before, in milliseconds.
        exec_ms_mean_before: f64,
        /// The mean now divided by that.
        factor: f64,
    },
}

/// Statements repeated by one client that are told of at most.
const POOLER_REPEATS_MAX: usize = 20;
/// A mean that changed by less is called steady.
const FACTOR_NOTABLE: f64 = 1.25;
/// So many standard errors are more than chance.
const ERRORS_NOTABLE: f64 = 2.0;

/// The slow statements of a period. The snapshot says whose they are and what could not be seen.
#[must_use]
pub fn report(snapshot: &Snapshot, period: &Period, options: &ReportOptions<'_>) -> SlowReport {
    let coverage = &period.totals.coverage;
    let statements = wanted(snapshot, &period.totals.statements, options.databases);
    let all = sums(&statements);
    let is_slow = |statement: &StatementTotals| is_slow(statement, options);
    let mut chosen: Vec<&StatementTotals> =
        statements.iter().copied().filter(|statement| is_slow(statement)).collect();
    let slow_count = chosen.len();
    let mut order = options.order;
    if slow_count == 0 {
        chosen.clone_from(&statements);
        if options.if_none == IfNone::MostTime {
            order = Order::Total;
        }
    }
    chosen.sort_by(|one, other| order.compare(one, other));
    chosen.truncate(options.limit);
    let context = Context::new(snapshot, period, options, all);
    let mut missing = snapshot.missing.clone();
    missing.extend(planning_gap(snapshot, options.order));
    let pooler_repeats = pooler_repeats(snapshot, options);
    SlowReport {
        server: snapshot.server.clone(),
        basis: period.basis,
        start: coverage.start,
        end: coverage.end,
        seconds: coverage.end.duration_since(coverage.start).as_secs_f64(),
        recordings: coverage.recordings,
        events: coverage.events,
        order,
        threshold_ms: options.threshold_ms,
        threshold_max_ms: options.threshold_max_ms,
        all,
        slow_count,
        statements: chosen.into_iter().map(|statement| context.told(statement, is_slow(statement))).collect(),
        repeats: hints(&statements, &pooler_repeats),
        pooler_since: options.pooler.and_then(|pooler| pooler.since),
        pooler_repeats,
        hidden: snapshot.hidden,
        notes: notes(snapshot, period),
        missing,
    }
}

/// What the pooler has seen repeated in the databases asked for.
fn pooler_repeats(snapshot: &Snapshot, options: &ReportOptions<'_>) -> Vec<PoolerRepeat> {
    let is_near = |repeat: &&PoolerRepeat| {
        options.databases == Databases::All || repeat.database == snapshot.server.database
    };
    let repeats = options.pooler.iter().flat_map(|pooler| &pooler.repeats);
    repeats.filter(is_near).take(POOLER_REPEATS_MAX).cloned().collect()
}

/// Hints from the counters, unless the pooler has seen the statement repeated.
fn hints(statements: &[&StatementTotals], seen: &[PoolerRepeat]) -> Vec<RepeatHint> {
    let seen: Vec<String> = seen.iter().map(|repeat| text::shape(&repeat.text)).collect();
    let mut hints = repeats::hints(statements);
    hints.retain(|hint| !seen.contains(&text::shape(&hint.text)));
    hints
}

/// The statements of the databases asked for, without this program's own.
fn wanted<'a>(
    snapshot: &Snapshot,
    statements: &'a [StatementTotals],
    databases: Databases,
) -> Vec<&'a StatementTotals> {
    let is_near = |statement: &&StatementTotals| {
        databases == Databases::All || statement.identity.key.database_oid == snapshot.server.database_oid
    };
    let is_own = |statement: &&StatementTotals| statement.identity.text.as_deref().is_some_and(text::is_own);
    let has_run = |statement: &&StatementTotals| statement.counters.calls > 0.0;
    statements.iter().filter(is_near).filter(|one| !is_own(one)).filter(has_run).collect()
}

fn sums(statements: &[&StatementTotals]) -> Sums {
    let own = statements.iter().filter(|statement| statement.identity.key.toplevel);
    let (calls, exec_ms) = own.fold((0.0, 0.0), |(calls, exec_ms), statement| {
        (calls + statement.counters.calls, exec_ms + statement.counters.exec_ms)
    });
    Sums { statements: statements.len(), calls: calls as u64, exec_ms }
}

fn is_slow(statement: &StatementTotals, options: &ReportOptions<'_>) -> bool {
    let mean = statement.counters.exec_ms_mean().unwrap_or(0.0);
    let max = statement.extremes.max_seen_ms;
    let is_over = |threshold: f64| max.is_some_and(|max| max >= threshold);
    mean >= options.threshold_ms || options.threshold_max_ms.is_some_and(is_over)
}

/// What a statement is told with.
struct Context<'a> {
    all: Sums,
    block_bytes: f64,
    has_io_timing: bool,
    period: &'a Period,
    before: HashMap<StatementKey, &'a StatementTotals>,
    pooler: HashMap<(&'a str, &'a str, String), &'a PoolerFigures>,
}

impl<'a> Context<'a> {
    fn new(snapshot: &Snapshot, period: &'a Period, options: &ReportOptions<'a>, all: Sums) -> Self {
        let before = period.previous.iter().flat_map(|totals| &totals.statements);
        // Of several texts of one shape the most expensive counts; it comes first.
        let figures = options.pooler.iter().flat_map(|pooler| pooler.statements.iter().rev());
        let figures = figures.map(|statement| {
            let key = (&*statement.database, &*statement.role, text::shape(&statement.text));
            (key, &statement.figures)
        });
        Self {
            all,
            block_bytes: snapshot.server.block_bytes as f64,
            has_io_timing: snapshot.tracking.has_io_timing,
            period,
            before: before.map(|statement| (statement.identity.key, statement)).collect(),
            pooler: figures.collect(),
        }
    }

    fn told(&self, statement: &StatementTotals, is_slow: bool) -> SlowStatement {
        let (identity, counters, extremes) = (&statement.identity, &statement.counters, &statement.extremes);
        let whole = |value: f64| value.round() as u64;
        let looked_up = counters.shared_hit_blocks + counters.shared_read_blocks;
        let temp_blocks = counters.temp_read_blocks + counters.temp_written_blocks;
        let io_ms = counters.read_ms + counters.write_ms + counters.temp_read_ms + counters.temp_write_ms;
        let share = if self.all.exec_ms > 0.0 { counters.exec_ms / self.all.exec_ms } else { 0.0 };
        SlowStatement {
            query_id: identity.key.query_id.to_string(),
            database: identity.database.clone(),
            role: identity.role.clone(),
            toplevel: identity.key.toplevel,
            text: identity.text.as_deref().map(text::one_line),
            is_slow,
            may_include_own: identity.text.as_deref().is_some_and(text::is_shared),
            calls: whole(counters.calls),
            exec_ms_total: counters.exec_ms,
            exec_share: share.clamp(0.0, 1.0),
            exec_ms_mean: counters.exec_ms_mean().unwrap_or(0.0),
            exec_ms_stddev: counters.exec_ms_stddev().unwrap_or(0.0),
            exec_ms_min: extremes.min_ms(),
            exec_ms_max: extremes.max_ms(),
            exec_ms_max_bound: Some(extremes.max_bound_ms).filter(|bound| bound.is_finite()),
            rows: whole(counters.rows),
            rows_per_call: counters.rows / counters.calls.max(1.0),
            shared_hit_blocks: whole(counters.shared_hit_blocks),
            shared_read_blocks: whole(counters.shared_read_blocks),
            hit_ratio: (looked_up > 0.0).then(|| counters.shared_hit_blocks / looked_up),
            read_bytes: whole((counters.shared_read_blocks + counters.local_read_blocks) * self.block_bytes),
            temp_bytes: whole(temp_blocks * self.block_bytes),
            io_ms: self.has_io_timing.then_some(io_ms),
            wal_bytes: whole(counters.wal_bytes),
            plans: whole(counters.plans),
            plan_ms_total: counters.plan_ms,
            jit_ms: counters.jit_ms,
            trend: self.trend(statement),
            pooler: self.pooler(statement).cloned(),
        }
    }

    fn trend(&self, statement: &StatementTotals) -> Option<Trend> {
        let previous = self.period.previous.as_ref()?;
        let Some(before) =
            self.before.get(&statement.identity.key).filter(|before| before.counters.calls > 0.0)
        else {
            // One that rested for a while is not new.
            let is_new = statement.first_seen > previous.coverage.end.min(self.period.totals.coverage.start);
            return is_new.then_some(Trend::New);
        };
        let mean = |statement: &StatementTotals| statement.counters.exec_ms_mean();
        let (now, then) = (mean(statement)?, mean(before)?);
        let error = |statement: &StatementTotals| {
            let stddev = statement.counters.exec_ms_stddev().unwrap_or(0.0);
            stddev * stddev / statement.counters.calls.max(1.0)
        };
        let chance = ERRORS_NOTABLE * (error(statement) + error(before)).sqrt();
        let factor = if then > 0.0 { now / then } else { 1.0 };
        let exec_ms_mean_before = then;
        Some(match () {
            () if (now - then).abs() <= chance => Trend::Steady { exec_ms_mean_before, factor },
            () if factor >= FACTOR_NOTABLE => Trend::Slower { exec_ms_mean_before, factor },
            () if factor <= 1.0 / FACTOR_NOTABLE => Trend::Faster { exec_ms_mean_before, factor },
            () => Trend::Steady { exec_ms_mean_before, factor },
        })
    }

    fn pooler(&self, statement: &StatementTotals) -> Option<&'a PoolerFigures> {
        if self.pooler.is_empty() {
            return None;
        }
        let identity = &statement.identity;
        let key = (
            identity.database.as_deref()?,
            identity.role.as_deref()?,
            text::shape(identity.text.as_deref()?),
        );
        self.pooler.get(&key).copied()
    }
}

fn planning_gap(snapshot: &Snapshot, order: Order) -> Option<Missing> {
    let is_missed = order == Order::Planning && !snapshot.tracking.has_planning;
    is_missed.then(|| Missing {
        what: "times of planning".to_owned(),
        why: "pg_stat_statements.track_planning is off; it costs a little with each execution".to_owned(),
        statement: Some(
            "ALTER SYSTEM SET pg_stat_statements.track_planning = on; SELECT pg_reload_conf();".to_owned(),
        ),
    })
}

/// What limits the figures.
fn notes(snapshot: &Snapshot, period: &Period) -> Vec<String> {
    let events = period.totals.coverage.events;
    let mut notes = Vec::new();
    if period.basis == Basis::TotalsOfUnknownAge {
        notes.push(
            "Before version 14 pg_stat_statements does not say when it was reset, and it keeps its counts over a restart: \
             they may be older than the server's start."
                .to_owned(),
        );
    }
    if events.restarts > 0 {
        notes.push(format!("The server was started {} meanwhile.", times(events.restarts)));
    }
    if events.resets > 0 {
        notes.push(format!(
            "pg_stat_statements was reset {} meanwhile: what was counted between a recording and the reset is lost.",
            times(events.resets)
        ));
    }
    notes.extend(losses(snapshot, events));
    notes
}

/// What was forgotten, for want of room or because somebody reset single statements.
fn losses(snapshot: &Snapshot, events: Events) -> Option<String> {
    let lost = events.vanished + events.begun_anew;
    let counted = match lost {
        0 => "some calls may not be counted".to_owned(),
        1 => "what one statement did before that is not counted".to_owned(),
        lost => format!("what {lost} statements did before that is not counted"),
    };
    // Before version 14 the extension does not say why.
    if events.evictions == 0 && snapshot.reading.deallocations.is_some() {
        return (lost > 0).then(|| format!("Single statements were reset meanwhile: {counted}."));
    }
    if events.evictions == 0 {
        return (lost > 0).then(|| format!("Statements were dropped or reset meanwhile: {counted}."));
    }
    let room = snapshot
        .tracking
        .entries_max
        .map_or_else(String::new, |max| format!(" (pg_stat_statements.max = {max})"));
    Some(format!(
        "Statements were dropped for want of room{room} {}: {counted}. A higher pg_stat_statements.max takes a restart.",
        times(events.evictions)
    ))
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
