//! The load generator: thousands of connections on one thread and one epoll instance.
//!
//! The protocol of a connection is a state machine without I/O ([`client`]); what is asked and how answers are
//! checked is a [`Workload`]; when requests begin is a [`Schedule`]; [`Generator`] does the I/O. It is built so that
//! it costs little beside the server it measures: requests are appended to one buffer that all clients share,
//! answers are read by their headers, and nothing is allocated on the way of a request.

mod client;
mod engine;
mod recorder;
mod run;
mod schedule;
mod socket;
mod timer;
mod workload;

pub(crate) use engine::Generator;
pub use recorder::{Errors, Latency};
pub(crate) use recorder::{Outcome, Progress, Times};
pub(crate) use run::RunOptions;
pub use schedule::Limit;
pub(crate) use schedule::Schedule;
pub(crate) use workload::{Fault, Next, Workload};
