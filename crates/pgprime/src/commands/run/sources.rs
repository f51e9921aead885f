//! What the monitor looks at: the database through our pools, the pooler in this process.

use std::time::Duration;

use pgprime_api::LazyDatabase;
use pgprime_monitor::health::{Connect, Connecting, Direct, Place, Pooled};
use pgprime_monitor::pooler::{PoolerReport, latency, of_handle};
use pgprime_monitor::watch::{PoolerReading, PoolerSource};
use pgprime_pooler::Handle;
use pgprime_pooler::core::Measured;
use tokio::sync::Mutex;

/// Connections of the admin pool once there is one; else connections of their own, which tell why there is none.
pub(super) struct Watched {
    database: LazyDatabase,
    direct: Direct,
    place: Place,
}

impl Watched {
    pub(super) fn new(database: LazyDatabase, url: &str, timeout: Duration, host: &str) -> Self {
        Self { database, direct: Direct::new(url, timeout), place: Place::of_host(host) }
    }
}

impl Connect for Watched {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async {
            let Some(database) = self.database.connected() else { return self.direct.connect().await };
            let pooled = Pooled::new(database, self.place).or_directly(self.direct.clone());
            pooled.connect().await
        })
    }
}

/// The pooler in this process.
pub(super) struct BuiltIn {
    handle: Handle,
    /// What had been executed at the look before.
    executed: Mutex<Option<Measured>>,
}

impl BuiltIn {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, executed: Mutex::default() }
    }

    async fn report(&self) -> PoolerReport {
        let executed = self.handle.executions().await;
        let mut last = self.executed.lock().await;
        let since = last.as_ref().map(|before| executed.since(before));
        *last = Some(executed);
        PoolerReport { latency: since.as_ref().and_then(latency), ..of_handle(&self.handle).await }
    }
}

impl PoolerSource for BuiltIn {
    fn name(&self) -> String {
        "the built-in pooler".to_owned()
    }

    fn read(&self) -> PoolerReading<'_> {
        Box::pin(async { Ok(self.report().await) })
    }
}
