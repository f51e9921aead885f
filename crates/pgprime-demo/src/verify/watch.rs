//! What the pooler itself says of waiting and work, from its console.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::console_client::{ConsoleClient, Rows};
use crate::server::Server;

const INTERVAL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);

/// The pooler's totals since its start, or what was added between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    transactions: u64,
    transaction_us: u64,
    wait_us: u64,
}

impl Totals {
    /// What SHOW STATS says of a database; `None` where it says nothing.
    pub(super) fn read(console: &mut ConsoleClient, database: &str) -> Option<Self> {
        Self::of(&console.query("SHOW STATS").ok()?, database)
    }

    fn of(stats: &Rows, database: &str) -> Option<Self> {
        let row = (0..stats.len()).find(|row| stats.cell(*row, "database") == Some(database))?;
        let number = |name| stats.cell(row, name)?.parse().ok();
        Some(Self {
            transactions: number("total_xact_count")?,
            transaction_us: number("total_xact_time")?,
            wait_us: number("total_wait_time")?,
        })
    }

    /// What was added since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            transactions: self.transactions.saturating_sub(before.transactions),
            transaction_us: self.transaction_us.saturating_sub(before.transaction_us),
            wait_us: self.wait_us.saturating_sub(before.wait_us),
        }
    }

    /// Mean time of a transaction in milliseconds; `None` without any.
    pub(super) fn transaction_ms_mean(self) -> Option<f64> {
        self.each_ms(self.transaction_us)
    }

    /// Mean wait of a transaction for a server in milliseconds; `None` without any.
    pub(super) fn wait_ms_mean(self) -> Option<f64> {
        self.each_ms(self.wait_us)
    }

    fn each_ms(self, total_us: u64) -> Option<f64> {
        (self.transactions > 0).then(|| total_us as f64 / 1000.0 / self.transactions as f64)
    }
}

/// What was seen between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// What was added to the totals.
    pub(super) totals: Option<Totals>,
    /// Servers that were busy on average.
    pub(super) busy_mean: Option<f64>,
}

/// The part of a run that is watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: Instant,
    pub(super) until: Instant,
}

/// The thread that watches. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
}

impl Watch {
    /// Connects to the pooler's console; looks at it from the window's beginning to its end.
    pub(super) fn start(console: &Server, database: &str, window: Window) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut watcher = Watcher {
            console: open(console)?,
            database: database.to_owned(),
            stop: Arc::clone(&stop),
            looks: 0,
            busy: 0,
        };
        let thread = Some(std::thread::spawn(move || watcher.watch(window)));
        Ok(Self { stop, thread })
    }

    /// Gives what was seen, at the end of the window.
    pub(super) fn finish(mut self) -> Seen {
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Opens a pooler's console.
pub(super) fn open(console: &Server) -> anyhow::Result<ConsoleClient> {
    ConsoleClient::connect(console, Some(PATIENCE)).context("opening the pooler's console")
}

struct Watcher {
    console: ConsoleClient,
    database: String,
    stop: Arc<AtomicBool>,
    looks: u64,
    busy: u64,
}

impl Watcher {
    fn watch(&mut self, window: Window) -> Seen {
        self.sleep_until(window.from);
        let before = Totals::read(&mut self.console, &self.database);
        while Instant::now() < window.until && !self.stop.load(Ordering::Relaxed) {
            self.look();
            self.sleep_until((Instant::now() + INTERVAL).min(window.until));
        }
        let after = Totals::read(&mut self.console, &self.database);
        let totals = before.and_then(|before| Some(after?.since(before)));
        let busy_mean = (self.looks > 0).then(|| self.busy as f64 / self.looks as f64);
        Seen { totals, busy_mean }
    }

    /// A look that fails is left out.
    fn look(&mut self) {
        let Ok(pools) = self.console.query("SHOW POOLS") else { return };
        self.looks += 1;
        self.busy += busy_servers(&pools, &self.database);
    }

    fn sleep_until(&self, moment: Instant) {
        while !self.stop.load(Ordering::Relaxed) {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::park_timeout(left);
        }
    }
}

fn busy_servers(pools: &Rows, database: &str) -> u64 {
    let rows = (0..pools.len()).filter(|row| pools.cell(*row, "database") == Some(database));
    rows.filter_map(|row| pools.cell(row, "sv_active")?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_one_database() {
        let columns = ["database", "total_xact_count", "total_xact_time", "total_wait_time"];
        let stats = |first: [&str; 4]| Rows::of(&columns, &[&["pgbouncer", "1", "2", "3"], &first]);
        let before = Totals::of(&stats(["verify", "100", "2000", "50"]), "verify").unwrap();
        let after = Totals::of(&stats(["verify", "300", "8000", "250"]), "verify").unwrap();
        let added = after.since(before);
        assert_eq!(added, Totals { transactions: 200, transaction_us: 6000, wait_us: 200 });
        assert_eq!((added.transaction_ms_mean(), added.wait_ms_mean()), (Some(0.03), Some(0.001)));
        assert_eq!(Totals::default().wait_ms_mean(), None);
        assert_eq!(Totals::of(&stats(["verify", "x", "1", "1"]), "verify"), None);
        assert_eq!(Totals::of(&stats(["verify", "1", "1", "1"]), "other"), None);
    }

    #[test]
    fn busy_servers_of_all_its_pools() {
        let pools = Rows::of(
            &["database", "sv_active"],
            &[&["verify", "3"], &["verify", "4"], &["pgbouncer", "9"], &["verify", "?"]],
        );
        assert_eq!(busy_servers(&pools, "verify"), 7);
    }
}
