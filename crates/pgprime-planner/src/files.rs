//! The files that carry a plan out: their texts, and the one place that writes them.
//!
//! Texts are pure functions of a plan. Nothing is overwritten unless told to, and files are written all or none.

mod all;
mod environment;
mod ini;
mod inputs;
mod postgresql;
mod systemd;
mod template;
mod userlist;
mod write;

pub use all::{PlannedFile, files};
pub use inputs::{Database, FileInputs, User};
pub use write::{Existing, WriteError, write};
