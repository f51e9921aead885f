//! What the tests have in common: a pooler as a child process, clients, and waiting for what must become true.

mod child;
mod client;
mod raw;
mod setup;

use std::future::Future;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use pgprime_cluster::{Cluster, ClusterOptions, Installation, SharedCluster};

pub(crate) use child::Pooler;
pub(crate) use client::{Client, cell, column, sqlstate};
pub(crate) use raw::RawClient;
pub(crate) use setup::Setup;

/// A hang is a failure, and no test takes nearly so long, even on a busy machine.
const TEST_TIME_MAX: Duration = Duration::from_secs(150);
const POLL: Duration = Duration::from_millis(10);

static CLUSTER: SharedCluster = SharedCluster::new(ClusterOptions::default);

/// The PostgreSQL of all tests that only use it.
pub(crate) fn cluster() -> &'static Cluster {
    CLUSTER.cluster()
}

/// A new database on the shared cluster, behind a new pooler in transaction mode with this pool size.
pub(crate) fn database_behind_pooler(prefix: &str, pool_size: u32) -> (String, Pooler) {
    let database = cluster().test_database(prefix).unwrap();
    let setup = Setup::new().database(cluster().primary(), &database, &format!("pool_size={pool_size}"));
    (database, Pooler::start(setup))
}

/// Runs a test's asynchronous part. Calls that block are fine in it: connections are driven by other threads.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(TEST_TIME_MAX, test)
            .await
            .unwrap_or_else(|_| panic!("hung for {TEST_TIME_MAX:?}"))
    })
}

/// Waits until the condition holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(POLL);
    }
}

/// The same where asking is asynchronous.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// A psql that connects to nothing by itself and reads no start-up file.
pub(crate) fn psql() -> Command {
    let mut command = Command::new(Installation::find().unwrap().bin_dir().join("psql"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.args(["--no-psqlrc", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]);
    command
}

/// What a program wrote to its standard output; its failure is the test's.
pub(crate) fn stdout_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{text}\n{}", output.status, stderr_of(output));
    text.trim_end_matches('\n').to_owned()
}

pub(crate) fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
