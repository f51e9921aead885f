//! All pools under all loads with one kind of settings: slots interleaved over rounds, then summarised.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::arguments::{Arguments, PoolName, Settings, WhileHeld};
use crate::contender::{Contender, warm_up};
use crate::cpu;
use crate::place::Place;
use crate::pools::{Bb8, Deadpool, Pgprime, Sqlx, notes};
use crate::slot::{self, Done, Errors, Load};
use crate::stats::{median, most_to_fewest, paired_ratio, spread};

/// The part of a cell's time in which check-outs are counted without a clock; in the rest each is timed.
const UNTIMED_PART: f64 = 1.0 / 3.0;

/// The figures of all pools with one kind of settings.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) settings: Settings,
    /// What is set for each pool besides its size.
    pub(crate) pools: Vec<(PoolName, &'static str)>,
    pub(crate) cells: Vec<Cell>,
}

/// One pool under one load.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) tasks: u32,
    pub(crate) while_held: WhileHeld,
    pub(crate) pool: PoolName,
    /// The time of a slot without clocks, divided by the check-outs of all its tasks; the median of the rounds.
    pub(crate) check_out_ns: f64,
    /// The rounds' greatest less their least, as a fraction of the median.
    pub(crate) check_out_spread: f64,
    /// How long a check-out took by the clock, which costs some 50 ns itself; the medians of the rounds.
    pub(crate) wait_us_p50: f64,
    pub(crate) wait_us_p99: f64,
    /// Of all rounds.
    pub(crate) wait_us_max: f64,
    pub(crate) wait_p99_to_p50: f64,
    /// Check-outs of the task with the most divided by those of the one with the fewest; `null` where one got none.
    pub(crate) most_to_fewest: Option<f64>,
    pub(crate) check_outs_total: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    /// Compared with pgprime; `null` where it was not measured.
    pub(crate) to_pgprime: Option<Ratios>,
}

/// Figures divided by pgprime's in the same round; the medians of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Ratios {
    pub(crate) check_out: Option<f64>,
    pub(crate) wait_p50: Option<f64>,
    pub(crate) wait_p99: Option<f64>,
    pub(crate) wait_p99_to_p50: Option<f64>,
}

/// Measures all cells.
pub(crate) fn measure(arguments: &Arguments, settings: Settings, place: &Place) -> anyhow::Result<Series> {
    let runtime = cpu::runtime()?;
    let pools = arguments.pools();
    let mut entrants = Vec::new();
    for &name in &pools {
        let opened = runtime.block_on(open(name, place, settings));
        entrants.push(opened.with_context(|| format!("the pool of {} did not open", name.text()))?);
    }
    let loads = loads(arguments);
    let mut records: Vec<Record> = Vec::new();
    for load in &loads {
        records.extend(pools.iter().map(|&pool| Record::new(*load, pool)));
    }
    for round in 0..arguments.rounds as usize {
        for at in 0..loads.len() {
            // Each round begins with another pool, so that none is always the one after the slowest.
            for turn in 0..pools.len() {
                let pool = (turn + round) % pools.len();
                records[at * pools.len() + pool].measure(&*entrants[pool], &runtime)?;
            }
        }
    }
    drop(entrants);
    let cells = records.chunks(pools.len().max(1)).flat_map(cells_of_load).collect();
    Ok(Series { settings, pools: pools.iter().map(|&pool| (pool, notes(pool, settings))).collect(), cells })
}

fn loads(arguments: &Arguments) -> Vec<Load> {
    let time = Duration::from_secs_f64(arguments.seconds_per_cell / f64::from(arguments.rounds));
    let of = |while_held| arguments.tasks.iter().map(move |&tasks| Load { tasks, while_held, time });
    arguments.while_held.iter().flat_map(|&while_held| of(while_held)).collect()
}

/// A pool of any kind.
trait Entrant {
    fn count(&self, runtime: &Runtime, load: Load) -> anyhow::Result<Done>;
    fn time(&self, runtime: &Runtime, load: Load) -> anyhow::Result<Done>;
}

impl<C: Contender> Entrant for Arc<C> {
    fn count(&self, runtime: &Runtime, load: Load) -> anyhow::Result<Done> {
        slot::count(runtime, self, load)
    }

    fn time(&self, runtime: &Runtime, load: Load) -> anyhow::Result<Done> {
        slot::time(runtime, self, load)
    }
}

async fn open(name: PoolName, place: &Place, settings: Settings) -> anyhow::Result<Box<dyn Entrant>> {
    match name {
        PoolName::Pgprime => warm(Pgprime::open(place, settings).await?).await,
        PoolName::Deadpool => warm(Deadpool::open(place, settings)?).await,
        PoolName::Bb8 => warm(Bb8::open(place, settings).await?).await,
        PoolName::Sqlx => warm(Sqlx::open(place, settings).await?).await,
    }
}

async fn warm<C: Contender>(pool: C) -> anyhow::Result<Box<dyn Entrant>> {
    warm_up(&pool).await?;
    Ok(Box::new(Arc::new(pool)))
}

/// One pool under one load, round by round.
struct Record {
    load: Load,
    pool: PoolName,
    check_out_ns: Vec<f64>,
    p50_ns: Vec<f64>,
    p99_ns: Vec<f64>,
    p99_to_p50: Vec<f64>,
    most_to_fewest: Vec<f64>,
    max_ns: u64,
    total: u64,
    errors: Errors,
}

impl Record {
    fn new(load: Load, pool: PoolName) -> Self {
        Self {
            load,
            pool,
            check_out_ns: Vec::new(),
            p50_ns: Vec::new(),
            p99_ns: Vec::new(),
            p99_to_p50: Vec::new(),
            most_to_fewest: Vec::new(),
            max_ns: 0,
            total: 0,
            errors: Errors::default(),
        }
    }

    fn measure(&mut self, pool: &dyn Entrant, runtime: &Runtime) -> anyhow::Result<()> {
        let untimed = Load { time: self.load.time.mul_f64(UNTIMED_PART), ..self.load };
        let counted = pool.count(runtime, untimed)?;
        let timed = pool.time(runtime, Load { time: self.load.time - untimed.time, ..self.load })?;
        let (p50, p99) =
            (timed.waits.value_at_quantile(0.5) as f64, timed.waits.value_at_quantile(0.99) as f64);
        self.check_out_ns.push(counted.ns_per_check_out());
        self.p50_ns.push(p50);
        self.p99_ns.push(p99);
        self.p99_to_p50.push(p99 / p50);
        self.most_to_fewest.push(most_to_fewest(&timed.check_outs));
        self.max_ns = self.max_ns.max(timed.waits.max());
        self.total += counted.total() + timed.total();
        self.errors.merge(counted.errors);
        self.errors.merge(timed.errors);
        Ok(())
    }

    fn cell(&self, base: Option<&Self>) -> Cell {
        let middle = |values: &[f64]| median(values).unwrap_or(f64::NAN);
        Cell {
            tasks: self.load.tasks,
            while_held: self.load.while_held,
            pool: self.pool,
            check_out_ns: middle(&self.check_out_ns),
            check_out_spread: spread(&self.check_out_ns).unwrap_or(f64::NAN),
            wait_us_p50: middle(&self.p50_ns) / 1e3,
            wait_us_p99: middle(&self.p99_ns) / 1e3,
            wait_us_max: self.max_ns as f64 / 1e3,
            wait_p99_to_p50: middle(&self.p99_to_p50),
            most_to_fewest: median(&self.most_to_fewest).filter(|ratio| ratio.is_finite()),
            check_outs_total: self.total,
            errors: self.errors.count,
            first_error: self.errors.first.clone(),
            to_pgprime: base.map(|base| self.ratios(base)),
        }
    }

    fn ratios(&self, base: &Self) -> Ratios {
        Ratios {
            check_out: paired_ratio(&self.check_out_ns, &base.check_out_ns),
            wait_p50: paired_ratio(&self.p50_ns, &base.p50_ns),
            wait_p99: paired_ratio(&self.p99_ns, &base.p99_ns),
            wait_p99_to_p50: paired_ratio(&self.p99_to_p50, &base.p99_to_p50),
        }
    }
}

/// The cells of all pools under one load.
fn cells_of_load(records: &[Record]) -> Vec<Cell> {
    let base = records.iter().find(|record| record.pool == PoolName::Pgprime);
    records.iter().map(|record| record.cell(base)).collect()
}
