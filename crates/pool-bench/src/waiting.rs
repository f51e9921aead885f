//! The memory of a task that waits for a connection.
//!
//! Each pool is measured in processes of its own, by the resident memory before and after the tasks began to wait: a
//! counting allocator would slow down those pools in the other measurements that allocate, and memory that was used and
//! freed before would be used again unseen.

use std::future::poll_fn;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;

use crate::arguments::{PoolName, Settings, Waited};
use crate::contender::{Contender, SIZE, warm_up};
use crate::cpu;
use crate::place::Place;
use crate::pools::{Bb8, Deadpool, Pgprime, Semaphore, Sqlx};
use crate::stats::{median, spread};

/// Tasks that wait.
pub(crate) const TASKS: usize = 100_000;

/// How often each is measured.
const TIMES: usize = 3;

/// Below the pools' timeout, when tasks begin to give up.
const START_MAX: Duration = Duration::from_secs(8);

/// The memory of a waiting task.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) waiting_on: Waited,
    /// Resident memory, the task itself included; the median of several processes.
    pub(crate) bytes_per_task: f64,
    /// The processes' greatest less their least, as a fraction of the median.
    pub(crate) spread: f64,
    /// What it is more than that of a task waiting on tokio's semaphore.
    pub(crate) bytes_above_semaphore: f64,
    /// `bytes_per_task` divided by pgprime's; `null` where that was not measured.
    pub(crate) to_pgprime: Option<f64>,
}

/// Measures the semaphore and these pools.
pub(crate) fn measure_all(pools: &[PoolName], place: &Place) -> anyhow::Result<Vec<Memory>> {
    let waited: Vec<Waited> =
        std::iter::once(Waited::Semaphore).chain(pools.iter().map(|&pool| pool.into())).collect();
    let mut found: Vec<Vec<f64>> = vec![Vec::new(); waited.len()];
    for _ in 0..TIMES {
        for (bytes, &waiting_on) in found.iter_mut().zip(&waited) {
            bytes.push(measure_in_process(waiting_on, place)?);
        }
    }
    let bytes_of = |wanted| {
        let at = waited.iter().position(|&waiting_on| waiting_on == wanted)?;
        median(&found[at])
    };
    let least = bytes_of(Waited::Semaphore).unwrap_or_default();
    let memory = |(&waiting_on, bytes): (&Waited, &Vec<f64>)| {
        let bytes_per_task = median(bytes).unwrap_or(f64::NAN);
        Memory {
            waiting_on,
            bytes_per_task,
            spread: spread(bytes).unwrap_or(f64::NAN),
            bytes_above_semaphore: bytes_per_task - least,
            to_pgprime: bytes_of(Waited::Pgprime).map(|base| bytes_per_task / base),
        }
    };
    Ok(waited.iter().zip(&found).map(memory).collect())
}

fn measure_in_process(waiting_on: Waited, place: &Place) -> anyhow::Result<f64> {
    let program = std::env::current_exe().context("the program's own file is needed to start it again")?;
    let mut command = Command::new(program);
    command.args(["--waiting", waiting_on.text()]);
    place.tell(&mut command);
    let output = command.output().context("the program could not be started again")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "measuring memory: {}",
        errors.trim().trim_start_matches("pool-bench: ")
    );
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().with_context(|| format!("measuring memory gave no number but `{}`", text.trim()))
}

/// Measures here, writes the bytes for each task, and ends the process without serving those who wait.
pub(crate) fn measure_here(waiting_on: Waited, place: &Place) -> anyhow::Result<()> {
    let runtime = cpu::runtime()?;
    let alike = Settings::Alike;
    let bytes = runtime.block_on(async {
        match waiting_on {
            Waited::Semaphore => bytes_per_task(Semaphore::new()).await,
            Waited::Pgprime => bytes_per_task(Pgprime::open(place, alike).await?).await,
            Waited::Deadpool => bytes_per_task(Deadpool::open(place, alike)?).await,
            Waited::Bb8 => bytes_per_task(Bb8::open(place, alike).await?).await,
            Waited::Sqlx => bytes_per_task(Sqlx::open(place, alike).await?).await,
        }
    })?;
    println!("{bytes}");
    std::process::exit(0);
}

async fn bytes_per_task<C: Contender>(pool: C) -> anyhow::Result<f64> {
    warm_up(&pool).await?;
    let pool = Arc::new(pool);
    let mut held = Vec::new();
    for _ in 0..SIZE {
        held.push(pool.check_out().await?);
    }
    let waiting = Arc::new(AtomicUsize::new(0));
    let before = resident_bytes()?;
    let began = Instant::now();
    for _ in 0..TASKS {
        drop(tokio::spawn(wait(Arc::clone(&pool), Arc::clone(&waiting))));
    }
    while waiting.load(Ordering::Acquire) < TASKS {
        if began.elapsed() > START_MAX {
            bail!(
                "{TASKS} tasks did not begin to wait in {START_MAX:?}; try again when the machine is quieter"
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let bytes = resident_bytes()?.saturating_sub(before);
    Ok(bytes as f64 / TASKS as f64)
}

/// Says so once it waits.
async fn wait<C: Contender>(pool: Arc<C>, waiting: Arc<AtomicUsize>) {
    let mut check_out = pin!(pool.check_out());
    let mut is_counted = false;
    let outcome = poll_fn(|context| {
        let outcome = check_out.as_mut().poll(context);
        if !is_counted {
            is_counted = true;
            waiting.fetch_add(1, Ordering::Release);
        }
        outcome
    });
    drop(outcome.await);
}

/// The pages of this process in memory, exactly.
fn resident_bytes() -> anyhow::Result<u64> {
    let path = "/proc/self/smaps_rollup";
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading {path}, which Linux has; use --without-memory elsewhere"))?;
    resident_in(&text).with_context(|| format!("{path} does not say Rss; use --without-memory"))
}

fn resident_in(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read() {
        let text = "5555-7fff ---p 00000000 00:00 0 [rollup]\nRss:                1776 kB\nPss:  345 kB\n";
        assert_eq!(resident_in(text), Some(1_776 * 1_024));
        assert_eq!(resident_in("Pss: 1 kB"), None);
    }
}
