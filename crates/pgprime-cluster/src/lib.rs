//! Private PostgreSQL clusters from the binaries that are installed: a primary and any number of streaming replicas,
//! for the demo and for tests that talk to the real thing; and private Redis servers for the same tests.
//!
//! ```no_run
//! use pgprime_cluster::{Cluster, ClusterOptions};
//!
//! # fn main() -> Result<(), pgprime_cluster::ClusterError> {
//! let cluster = Cluster::start(&ClusterOptions::default().with_replicas(1))?;
//! cluster.primary().psql("postgres", "CREATE TABLE t AS SELECT 1 AS x")?;
//! cluster.wait_for_replay()?;
//! assert_eq!(cluster.replicas()[0].psql("postgres", "SELECT x FROM t")?, "1");
//! # Ok(())
//! # }
//! ```
//!
//! * [`Installation`] finds PostgreSQL, [`Cluster`] runs it, a [`Node`] is one server and can be stopped, killed,
//!   paused and promoted, and [`SharedCluster`] is one cluster for all tests of a binary. [`RedisServer`] is a Redis.
//! * Everything lives in one short folder below the temporary folder and listens on Unix sockets and loopback only.
//! * Nothing outlives the owner: a watchdog process sees the owner's end, whatever caused it, ends the servers and
//!   removes the folder. Only processes that this crate started are ever ended.
//! * It never touches a cluster of the system, never starts a service and never runs PostgreSQL as root.
//! * Durability is off: a cluster is for data that may be lost.

mod account;
mod cluster;
mod error;
mod home;
mod installation;
mod node;
mod port;
mod process;
mod redis;
mod settings;
mod shared;

pub use cluster::{Cluster, ClusterOptions};
pub use error::ClusterError;
pub use installation::Installation;
pub use node::{Node, StopMode};
pub use port::free_port;
pub use redis::{REDIS_SERVER_VARIABLE, RedisServer};
pub use shared::SharedCluster;
