//! The connection pool as a state machine.
//!
//! A [`Pool`] decides who gets which server, when a connection is opened and when one is closed. It knows no socket, no
//! clock and no randomness: every event comes with `now`, and the answer is a list of [`Action`]s for the caller to
//! carry out. One pool object belongs to one worker; what several workers share is the [`Budget`] (how many connections
//! there may be) and the [`Board`] (who is waiting where).
//!
//! Invariants:
//! - A connection exists only while its [`Permit`] does, so a limit cannot be exceeded.
//! - Waiting clients are served first in, first out; idle servers are taken last in, first out.
//! - No server idles while a client of the same pool waits, unless the pool is paused.

mod board;
mod budget;
mod pool;
mod retry;
mod wait_queue;

pub use board::{Board, WorkerIndex};
pub use budget::{Budget, Limit, Permit, Refusal};
pub use pool::{Action, CloseReason, Demand, Event, Failure, Pool, PoolCounts, PoolSettings, Rest, Waited};
pub use wait_queue::Ticket;
