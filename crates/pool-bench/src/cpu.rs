//! The runtime that tasks run on, and the machine below it.

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

/// Threads that run tasks.
pub(crate) const WORKERS: usize = 2;

/// A multi-thread runtime. Its threads run nothing but tasks: whoever measures waits outside of it.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    runtime.context("threads for tasks could not be started; is there a limit on processes (ulimit -u)?")
}

/// The processor's name and how many of its cores may be used.
pub(crate) fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = name.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{name}, {cores} cores, {}", std::env::consts::OS)
}
