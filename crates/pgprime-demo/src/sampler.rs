//! Watches a pooler and its server while a load runs, from a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use crate::console_client::{ConsoleClient, Rows};
use crate::machine::resident_kib;
use crate::server::Server;

const INTERVAL: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(10);
/// The columns of SHOW POOLS that count server connections.
const SERVER_COLUMNS: [&str; 7] =
    ["sv_active", "sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login"];

/// The highest values seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Samples {
    /// How often was looked.
    pub(crate) count: u32,
    /// Server connections, as the pooler counts them.
    pub(crate) servers_max: u64,
    /// Sessions in PostgreSQL, as PostgreSQL counts them.
    pub(crate) sessions_max: u64,
    /// Clients that waited for a server connection at one time.
    pub(crate) clients_waiting_max: u64,
    /// Longest wait of a client that still waited, in microseconds.
    pub(crate) wait_us_max: u64,
    pub(crate) resident_kib_max: u64,
}

/// The thread that watches. Dropping it ends it, without its result.
#[derive(Debug)]
pub(crate) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Samples>>,
}

impl Sampler {
    /// Connects to the pooler's console and to the server, and begins to watch.
    pub(crate) fn start(console: &Server, admin: &Server, database: &str, pid: u32) -> anyhow::Result<Self> {
        let mut watch = Watch {
            console: ConsoleClient::connect(console, Some(PATIENCE))
                .context("opening the pooler's console")?,
            admin: ConsoleClient::connect(admin, Some(PATIENCE)).context("connecting to the server")?,
            database: database.to_owned(),
            pid,
            samples: Samples::default(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !is_stopped.load(Ordering::Relaxed) {
                watch.look();
                std::thread::park_timeout(INTERVAL);
            }
            watch.look();
            watch.samples
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the watch; gives what was seen.
    pub(crate) fn finish(mut self) -> Samples {
        self.end().unwrap_or_default()
    }

    fn end(&mut self) -> Option<Samples> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take()?;
        thread.thread().unpark();
        thread.join().ok()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.end();
    }
}

struct Watch {
    console: ConsoleClient,
    admin: ConsoleClient,
    database: String,
    pid: u32,
    samples: Samples,
}

impl Watch {
    /// A look that fails is left out: under full load the console may be slow, and the load reports its own errors.
    fn look(&mut self) {
        let Ok(pools) = self.console.query("SHOW POOLS") else { return };
        self.samples.add_pools(&pools, &self.database);
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND backend_type = 'client backend'",
            self.database
        );
        let sessions = self.admin.query(&sql).ok();
        let sessions = sessions.and_then(|rows| rows.first()?.parse().ok()).unwrap_or_default();
        self.samples.sessions_max = self.samples.sessions_max.max(sessions);
        let resident = resident_kib(self.pid).unwrap_or_default();
        self.samples.resident_kib_max = self.samples.resident_kib_max.max(resident);
    }
}

impl Samples {
    fn add_pools(&mut self, pools: &Rows, database: &str) {
        let number = |row, name| pools.cell(row, name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let rows = || (0..pools.len()).filter(|row| pools.cell(*row, "database") == Some(database));
        let servers = rows().flat_map(|row| SERVER_COLUMNS.map(|name| number(row, name))).sum();
        let waiting = rows().map(|row| number(row, "cl_waiting")).sum();
        let wait_us = rows().map(|row| number(row, "maxwait") * 1_000_000 + number(row, "maxwait_us")).max();
        self.count += 1;
        self.servers_max = self.servers_max.max(servers);
        self.clients_waiting_max = self.clients_waiting_max.max(waiting);
        self.wait_us_max = self.wait_us_max.max(wait_us.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_of_the_database_are_added_up() {
        let columns = ["database", "cl_waiting", "sv_active", "sv_idle", "maxwait", "maxwait_us"];
        let pools = Rows::of(
            &columns,
            &[
                &["a", "3", "5", "2", "0", "700"],
                &["a", "1", "4", "0", "2", "5"],
                &["b", "9", "9", "9", "9", "9"],
            ],
        );
        let mut samples = Samples::default();
        samples.add_pools(&pools, "a");
        samples.add_pools(&Rows::of(&columns, &[]), "a");
        let expected = Samples {
            count: 2,
            servers_max: 11,
            clients_waiting_max: 4,
            wait_us_max: 2_000_005,
            ..Samples::default()
        };
        assert_eq!(samples, expected);
    }
}
