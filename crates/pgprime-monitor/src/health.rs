//! Health: what is observed, and what it means.
//!
//! * [`observe()`] looks at a database with a few bounded queries; [`judge()`] makes checks of what was seen. The rules are
//!   pure: what was seen, what was seen before, and the settings decide.
//! * [`Look`] does both within a limit on the whole, whatever the database does or does not do.
//! * [`DEFINITIONS`] is the one table of all checks, with their thresholds and why those; [`reference()`] prints it.

mod down;
mod look;
mod observe;
mod past;
mod report;
mod rules;
mod settings;
mod space;
mod table;
mod text;
mod verdict;
pub(crate) mod words;

pub use down::{Down, DownKind};
pub use look::{Connect, Connected, Connecting, Direct, Lent, Look, Looked, Pooled};
pub use observe::{
    Catalog, Checkpoints, Counters, DatabaseIds, DiskPlace, IndexBlocks, IndexSeen, Indexes, KnownReplica,
    LockWait, Memory, Observation, OldTable, Place, PreparedTransaction, Receiver, Recent, Replica,
    ReplicaKind, Replication, Sample, Section, Server, SessionSeen, Sizes, Slot, SlowStatement, Statements,
    States, TableSeen, observe,
};
pub use past::{Past, Remembered, trend, trend_of_duration};
pub use pgprime_readonly::Missing;
pub use report::{Check, Group, HealthReport, Status, Thresholds, Trend, Unit};
pub use rules::{Evidence, PoolerSeen, PoolerTrouble, blocking, checks, judge};
pub use settings::{Settings, SettingsError};
pub use space::{FullSequence, SequenceSummary, SpaceSummary, WasteSummary, Wasteful};
pub use table::{DEFINITIONS, Definition, NEVER, definition, in_unit, reference};
pub use text::text;
