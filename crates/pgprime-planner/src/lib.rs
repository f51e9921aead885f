//! From a calculated plan to something a person can act on: what a live database says, a report to read, files to use.
//!
//! It changes nothing in a database, and never overwrites a file unless told to.

pub mod files;
mod format;
pub mod hardware;
mod layout;
pub mod observe;
pub mod plot;
mod reason;
pub mod report;
