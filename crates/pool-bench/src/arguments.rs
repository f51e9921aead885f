//! The command line.

use clap::{Parser, ValueEnum};
use serde::Serialize;

/// Measures pools of connections side by side: the time to check out and return, waiting, memory.
#[derive(Debug, Parser)]
#[command(name = "pool-bench", version)]
pub(crate) struct Arguments {
    /// Print the report as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds for each cell: one pool, one number of tasks, one thing done while a connection is held
    #[arg(long, default_value_t = 1.5, value_parser = seconds)]
    pub(crate) seconds_per_cell: f64,
    /// Rounds, over which the seconds of a cell are divided
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// Only these pools; ratios are to pgprime, where it is among them
    #[arg(long, value_delimiter = ',')]
    only: Vec<PoolName>,
    /// Numbers of tasks
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 1_000], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) tasks: Vec<u32>,
    /// What tasks do while they hold a connection
    #[arg(long, value_delimiter = ',', default_value = "nothing,yield,select")]
    pub(crate) while_held: Vec<WhileHeld>,
    /// How the pools are set up
    #[arg(long, value_delimiter = ',', default_value = "alike,own")]
    pub(crate) settings: Vec<Settings>,
    /// Leave out the memory of waiting tasks
    #[arg(long)]
    pub(crate) without_memory: bool,
    /// Measure the memory of tasks waiting on this pool, in this process
    #[arg(long, hide = true)]
    pub(crate) waiting: Option<Waited>,
}

impl Arguments {
    /// The pools to be measured, each once and always in the same order.
    pub(crate) fn pools(&self) -> Vec<PoolName> {
        let is_wanted = |name: &PoolName| self.only.is_empty() || self.only.contains(name);
        PoolName::ALL.into_iter().filter(is_wanted).collect()
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 600.0 => Ok(seconds),
        _ => Err("give a number of seconds above 0 and up to 600, such as 1.5".to_owned()),
    }
}

/// A pool that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PoolName {
    Pgprime,
    Deadpool,
    Bb8,
    Sqlx,
}

impl PoolName {
    const ALL: [Self; 4] = [Self::Pgprime, Self::Deadpool, Self::Bb8, Self::Sqlx];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Pgprime => "pgprime",
            Self::Deadpool => "deadpool",
            Self::Bb8 => "bb8",
            Self::Sqlx => "sqlx",
        }
    }
}

/// What tasks wait on while their memory is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Waited {
    /// The least that waiting for one of several things costs: tokio's semaphore, without a timeout.
    Semaphore,
    Pgprime,
    Deadpool,
    Bb8,
    Sqlx,
}

impl Waited {
    /// Its name, also on the command line.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Semaphore => "semaphore",
            Self::Pgprime => PoolName::Pgprime.text(),
            Self::Deadpool => PoolName::Deadpool.text(),
            Self::Bb8 => PoolName::Bb8.text(),
            Self::Sqlx => PoolName::Sqlx.text(),
        }
    }
}

impl From<PoolName> for Waited {
    fn from(name: PoolName) -> Self {
        match name {
            PoolName::Pgprime => Self::Pgprime,
            PoolName::Deadpool => Self::Deadpool,
            PoolName::Bb8 => Self::Bb8,
            PoolName::Sqlx => Self::Sqlx,
        }
    }
}

/// How the pools are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Settings {
    /// The same timeout, and no test of a connection before it is handed out.
    Alike,
    /// Only the size is set.
    Own,
}

/// What a task does between checking out and returning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhileHeld {
    Nothing,
    /// One `tokio::task::yield_now()`.
    Yield,
    /// `SELECT 1`, prepared before.
    Select,
}

impl WhileHeld {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Yield => "yield",
            Self::Select => "SELECT 1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_chosen_by_name_and_kept_in_order() {
        let pools = |line: &str| Arguments::try_parse_from(line.split(' ')).map(|found| found.pools());
        assert_eq!(pools("pool-bench").unwrap(), PoolName::ALL);
        assert_eq!(
            pools("pool-bench --only sqlx,pgprime,sqlx").unwrap(),
            [PoolName::Pgprime, PoolName::Sqlx]
        );
        for line in
            ["--only pgbouncer", "--seconds-per-cell 0", "--seconds-per-cell NaN", "--tasks 0", "--rounds 0"]
        {
            assert!(pools(&format!("pool-bench {line}")).is_err(), "{line}");
        }
    }
}
