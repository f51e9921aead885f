//! One cluster for all tests of a binary.

use std::sync::OnceLock;

use crate::cluster::{Cluster, ClusterOptions};
use crate::error::ClusterError;

/// A cluster that is started when it is first asked for and then shared, to be kept in a `static`:
///
/// ```no_run
/// use pgprime_cluster::{ClusterOptions, SharedCluster};
///
/// static CLUSTER: SharedCluster = SharedCluster::new(|| ClusterOptions::default().with_replicas(1));
///
/// # fn main() -> Result<(), pgprime_cluster::ClusterError> {
/// let cluster = CLUSTER.cluster();
/// let database = cluster.test_database("orders")?;
/// cluster.primary().psql(&database, "CREATE TABLE orders (id bigint)")?;
/// # Ok(())
/// # }
/// ```
///
/// A `static` is never dropped. The cluster ends all the same: the watchdog ends it a moment after the process.
/// Each process has a cluster of its own, so run such tests with `cargo test`, which runs those of a binary as
/// threads of one process, rather than with a runner that starts a process for each.
///
/// Tests that stop, kill, pause or reconfigure a node disturb the others: they start a [`Cluster`] of their own.
#[derive(Debug)]
pub struct SharedCluster {
    options: fn() -> ClusterOptions,
    cluster: OnceLock<Result<Cluster, ClusterError>>,
}

impl SharedCluster {
    /// A cluster with these options, not started yet.
    #[must_use]
    pub const fn new(options: fn() -> ClusterOptions) -> Self {
        Self { options, cluster: OnceLock::new() }
    }

    /// The cluster, started by the first caller.
    ///
    /// # Errors
    /// What kept it from starting, for every caller.
    pub fn try_cluster(&self) -> Result<&Cluster, &ClusterError> {
        self.cluster.get_or_init(|| Cluster::start(&(self.options)())).as_ref()
    }

    /// The cluster, started by the first caller.
    ///
    /// # Panics
    /// When it cannot be started: there is nothing else that a test could do.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        match self.try_cluster() {
            Ok(cluster) => cluster,
            Err(error) => panic!("the shared cluster did not start: {error}"),
        }
    }
}
