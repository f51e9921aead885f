//! Everything measured in one run, as tables of at most 100 columns and as JSON.

use std::fmt;

use serde::Serialize;

use crate::arguments::{Arguments, PoolName, Settings};
use crate::contender::SIZE;
use crate::cpu;
use crate::pools;
use crate::series::{Cell, Ratios, Series};
use crate::text::{grouped, percent, ratio, short, table};
use crate::waiting::{self, Memory};

/// What the figures mean, below the tables.
const LEGEND: &str = "\
ns each        wall time of a slot divided by the check-outs of all its tasks together, without a
               clock inside; the median of the rounds. Two threads share the work.
spread         the rounds' greatest less their least, as a fraction of the median
p50, p99, max  how long a check-out took, from asking to having, by a clock that costs some 50 ns of
               it; in slots of their own; medians of the rounds, and the greatest of all
most/fewest    check-outs of the task with the most over those of the one with the fewest in a timed
               slot; the median of the rounds; inf: one got none. Where nobody waits, as with
               nothing done while held, it shows how tokio shares out its threads
while held     nothing; one tokio::task::yield_now(); a prepared SELECT 1, its row read
";

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    postgresql: String,
    pool_size: u32,
    workers: usize,
    rounds: u32,
    seconds_per_cell: f64,
    is_optimised: bool,
    /// What each pool is and how it is called.
    versions: Vec<(PoolName, &'static str)>,
    pub(crate) series: Vec<Series>,
    waiting_tasks: usize,
    /// Empty where it was left out.
    pub(crate) memory: Vec<Memory>,
}

impl Report {
    pub(crate) fn new(arguments: &Arguments, postgresql: String) -> Self {
        Self {
            machine: cpu::description(),
            postgresql,
            pool_size: SIZE,
            workers: cpu::WORKERS,
            rounds: arguments.rounds,
            seconds_per_cell: arguments.seconds_per_cell,
            is_optimised: !cfg!(debug_assertions),
            versions: arguments.pools().into_iter().map(|pool| (pool, pools::version(pool))).collect(),
            series: Vec::new(),
            waiting_tasks: waiting::TASKS,
            memory: Vec::new(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; PostgreSQL {} over a Unix socket", self.machine, self.postgresql)?;
        writeln!(
            f,
            "pools of {} connections, {} threads, {} rounds, {} s for each cell{}",
            self.pool_size,
            self.workers,
            self.rounds,
            self.seconds_per_cell,
            if self.is_optimised { "" } else { "; NOT OPTIMISED: no comparison" }
        )?;
        for (pool, version) in &self.versions {
            writeln!(f, "  {}: {version}", pool.text())?;
        }
        for series in &self.series {
            write!(f, "\n{}", Titled(series))?;
        }
        if !self.series.is_empty() {
            write!(f, "\n{LEGEND}")?;
        }
        if !self.memory.is_empty() {
            let tasks = grouped(self.waiting_tasks as u64);
            writeln!(
                f,
                "\nmemory of a waiting task ({tasks} of them, all {} connections held):",
                self.pool_size
            )?;
            f.write_str(&memory_table(&self.memory))?;
        }
        Ok(())
    }
}

/// One kind of settings: what is set, the figures, the ratios, and what went wrong.
struct Titled<'a>(&'a Series);

impl fmt::Display for Titled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.settings {
            Settings::Alike => "set up alike:\n",
            Settings::Own => "each with its own defaults, but for the size:\n",
        })?;
        for (pool, note) in &self.0.pools {
            writeln!(f, "  {}: {note}", pool.text())?;
        }
        let heads = [
            "tasks",
            "while held",
            "pool",
            "ns each",
            "spread",
            "p50 µs",
            "p99 µs",
            "max µs",
            "p99/p50",
            "most/fewest",
        ];
        write!(f, "\n{}", table(&heads, 3, &rows(&self.0.cells, figures)))?;
        if self.0.cells.iter().any(|cell| cell.to_pgprime.is_some()) {
            let heads = ["tasks", "while held", "pool", "ns each", "p50", "p99", "p99/p50"];
            write!(f, "\nrelative to pgprime, round by round (above 1: more than pgprime's):\n")?;
            f.write_str(&table(&heads, 3, &rows(&self.0.cells, ratios)))?;
        }
        for cell in self.0.cells.iter().filter(|cell| cell.errors > 0) {
            let first = cell.first_error.as_deref().unwrap_or_default();
            let errors = grouped(cell.errors);
            writeln!(f, "{}, {} tasks: {errors} errors, first: {first}", cell.pool.text(), cell.tasks)?;
        }
        Ok(())
    }
}

/// The rows for which `columns` has something to say.
fn rows(cells: &[Cell], columns: impl Fn(&Cell) -> Option<Vec<String>>) -> Vec<Vec<String>> {
    let row = |cell: &Cell| {
        let name =
            [grouped(cell.tasks.into()), cell.while_held.text().to_owned(), cell.pool.text().to_owned()];
        Some(name.into_iter().chain(columns(cell)?).collect())
    };
    cells.iter().filter_map(row).collect()
}

fn figures(cell: &Cell) -> Option<Vec<String>> {
    let fairness = cell.most_to_fewest.map_or_else(|| "inf".to_owned(), short);
    Some(vec![
        grouped(cell.check_out_ns.round() as u64),
        percent(cell.check_out_spread),
        short(cell.wait_us_p50),
        short(cell.wait_us_p99),
        short(cell.wait_us_max / 1e3),
        short(cell.wait_p99_to_p50),
        fairness,
    ])
}

fn ratios(cell: &Cell) -> Option<Vec<String>> {
    let Ratios { check_out, wait_p50, wait_p99, wait_p99_to_p50 } = cell.to_pgprime.as_ref()?;
    if cell.pool == PoolName::Pgprime {
        return None;
    }
    Some([check_out, wait_p50, wait_p99, wait_p99_to_p50].map(|value| ratio(*value)).to_vec())
}

fn memory_table(memory: &[Memory]) -> String {
    let heads = ["waiting on", "bytes", "spread", "above a semaphore", "relative to pgprime"];
    let row = |memory: &Memory| {
        vec![
            memory.waiting_on.text().to_owned(),
            short(memory.bytes_per_task),
            percent(memory.spread),
            short(memory.bytes_above_semaphore),
            ratio(memory.to_pgprime),
        ]
    };
    table(&heads, 1, &memory.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::WhileHeld;

    fn cell(pool: PoolName) -> Cell {
        Cell {
            tasks: 1_000,
            while_held: WhileHeld::Select,
            pool,
            check_out_ns: 12_345_678.0,
            check_out_spread: 1.234,
            wait_us_p50: 123_456.0,
            wait_us_p99: 1_234_567.0,
            wait_us_max: 12_345_678.0,
            wait_p99_to_p50: 1_234.0,
            most_to_fewest: None,
            check_outs_total: 9,
            errors: 0,
            first_error: None,
            to_pgprime: Some(Ratios {
                check_out: Some(1.5),
                wait_p50: None,
                wait_p99: None,
                wait_p99_to_p50: None,
            }),
        }
    }

    #[test]
    fn a_report_fits_100_columns_and_is_json() {
        use clap::Parser as _;
        let arguments = Arguments::parse_from(["pool-bench"]);
        let mut report = Report::new(&arguments, "15.18 (Debian 15.18-0+deb12u1)".to_owned());
        report.machine = "AMD EPYC, 2 cores, linux".to_owned();
        let pools = arguments.pools();
        for settings in [Settings::Alike, Settings::Own] {
            let notes = pools.iter().map(|&pool| (pool, pools::notes(pool, settings))).collect();
            let cells = pools.iter().map(|&pool| cell(pool)).collect();
            report.series.push(Series { settings, pools: notes, cells });
        }
        report.memory.push(Memory {
            waiting_on: pools[0].into(),
            bytes_per_task: 1_234.0,
            spread: 0.01,
            bytes_above_semaphore: -12.0,
            to_pgprime: Some(1.0),
        });
        let text = report.to_string();
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= 100, "{longest} columns:\n{text}");
        assert_eq!(text.matches("relative to pgprime, round by round").count(), 2, "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["series"][0]["cells"][1]["pool"], "deadpool");
        assert_eq!(json["series"][0]["cells"][0]["most_to_fewest"], serde_json::Value::Null);
    }
}
