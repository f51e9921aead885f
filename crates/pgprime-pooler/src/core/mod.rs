//! One worker's state machine: clients, servers and pools, without sockets, clocks or randomness.
//!
//! Bytes and `now` come in through the `handle_*` and `join_*` methods. What is to be done comes out in three ways,
//! and has to be asked for after every call, in this order: [`Core::poll_effect`] until `None`, then the lists of
//! [`Core::take_dirty_clients`] and [`Core::take_dirty_servers`], whose output is to be written. The worker drives this
//! with real sockets; the simulator in the tests drives the very same code.

mod buffer;
mod client;
mod client_input;
mod control;
mod ends;
mod executions;
mod ids;
mod lifecycle;
mod measure;
mod outdated;
mod parameters;
mod prepared;
mod release;
mod replies;
mod route;
mod server;
mod server_input;
mod shape;
mod snapshot;
mod state;
mod statements;
mod stats;
mod tick;

pub use buffer::Output;
pub use client::ClientInfo;
pub use ids::{ClientId, PoolIndex, ServerId};
pub use measure::{
    CaptureSettings, CapturedRow, MeasureSettings, Measured, MeasuredPage, MeasuredPart, NameRow, Redaction,
    RepeatRow, StatementRow,
};
pub use parameters::{Parameters, Tracked, Welcome};
pub use server::{ServerInfo, ServerJoin};
pub use snapshot::{ClientRow, PoolRow, ServerRow, WorkerSnapshot};
pub use state::{ClientJoin, Core, CoreSettings, Effect, LentServer, Mode, PoolProfile, PoolSetup};
pub use stats::Counters;
