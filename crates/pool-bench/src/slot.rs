//! One pool for one moment: tasks check out and return as fast as they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::runtime::Runtime;

use crate::arguments::WhileHeld;
use crate::contender::Contender;

/// The longest wait told apart, in ns; longer than any timeout.
const WAIT_NS_MAX: u64 = 60_000_000_000;

/// How many tasks do what, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) tasks: u32,
    pub(crate) while_held: WhileHeld,
    pub(crate) time: Duration,
}

/// What the tasks have done together.
#[derive(Debug)]
pub(crate) struct Done {
    /// From the start of the first task to the end of the last.
    pub(crate) elapsed: Duration,
    /// Check-outs of each task.
    pub(crate) check_outs: Vec<u64>,
    /// How long each check-out took, in ns; empty unless that was asked for.
    pub(crate) waits: Histogram<u64>,
    pub(crate) errors: Errors,
}

/// What went wrong, and the first of it.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    pub(crate) count: u64,
    pub(crate) first: Option<String>,
}

impl Errors {
    fn add(&mut self, error: &impl std::fmt::Display) {
        self.count += 1;
        self.first.get_or_insert_with(|| error.to_string());
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }
}

impl Done {
    pub(crate) fn total(&self) -> u64 {
        self.check_outs.iter().sum()
    }

    /// The time of the whole divided by the check-outs of all tasks, in ns.
    pub(crate) fn ns_per_check_out(&self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.total().max(1) as f64
    }
}

/// Lets tasks run without a clock: the whole time is what counts.
pub(crate) fn count<C: Contender>(runtime: &Runtime, pool: &Arc<C>, load: Load) -> anyhow::Result<Done> {
    run(runtime, load, |stop| {
        let pool = Arc::clone(pool);
        async move {
            let mut task = Task::new();
            while !stop.load(Ordering::Relaxed) {
                let outcome = pool.check_out().await;
                task.use_up::<C>(outcome, load.while_held).await;
            }
            task
        }
    })
}

/// Lets tasks run and times each check-out, without its use and return.
pub(crate) fn time<C: Contender>(runtime: &Runtime, pool: &Arc<C>, load: Load) -> anyhow::Result<Done> {
    run(runtime, load, |stop| {
        let pool = Arc::clone(pool);
        async move {
            let mut task = Task::new();
            let mut waits = waits();
            while !stop.load(Ordering::Relaxed) {
                let asked_at = Instant::now();
                let outcome = pool.check_out().await;
                let waited = asked_at.elapsed();
                waits.saturating_record(u64::try_from(waited.as_nanos()).unwrap_or(WAIT_NS_MAX));
                task.use_up::<C>(outcome, load.while_held).await;
            }
            task.waits = Some(waits);
            task
        }
    })
}

/// What one task has done.
struct Task {
    check_outs: u64,
    waits: Option<Histogram<u64>>,
    errors: Errors,
}

impl Task {
    fn new() -> Self {
        Self { check_outs: 0, waits: None, errors: Errors::default() }
    }

    /// Uses and returns what was checked out.
    async fn use_up<C: Contender>(&mut self, outcome: Result<C::Held<'_>, C::Error>, while_held: WhileHeld) {
        let mut held = match outcome {
            Ok(held) => held,
            Err(error) => {
                self.errors.add(&error);
                // Errors that need no waiting must not keep other tasks from running.
                return tokio::task::yield_now().await;
            }
        };
        match while_held {
            WhileHeld::Nothing => {}
            WhileHeld::Yield => tokio::task::yield_now().await,
            WhileHeld::Select => {
                if let Err(error) = C::select(&mut held).await {
                    self.errors.add(&error);
                }
            }
        }
        drop(held);
        self.check_outs += 1;
    }
}

/// Starts the tasks, stops them when the time is over, and puts together what they have done.
///
/// This thread sleeps by itself: a timer of the runtime would be late where tasks never let go of a thread.
fn run<F>(runtime: &Runtime, load: Load, start: impl Fn(Arc<AtomicBool>) -> F) -> anyhow::Result<Done>
where
    F: Future<Output = Task> + Send + 'static,
{
    let stop = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let running: Vec<_> = (0..load.tasks).map(|_| runtime.spawn(start(Arc::clone(&stop)))).collect();
    std::thread::sleep(load.time);
    stop.store(true, Ordering::Relaxed);
    let ended = runtime.block_on(async {
        let mut ended = Vec::with_capacity(running.len());
        for task in running {
            ended.push(task.await);
        }
        ended
    });
    let mut done =
        Done { elapsed: began.elapsed(), check_outs: Vec::new(), waits: waits(), errors: Errors::default() };
    for task in ended {
        let task = task.context("a task ended before its time")?;
        done.check_outs.push(task.check_outs);
        done.errors.merge(task.errors);
        if let Some(waits) = task.waits {
            done.waits.add(&waits)?;
        }
    }
    Ok(done)
}

fn waits() -> Histogram<u64> {
    Histogram::new_with_bounds(1, WAIT_NS_MAX, 2).expect("the bounds are constants in range")
}
