//! One module for each command: its options and their way into the library that does the work.

pub(crate) mod analyze;
pub(crate) mod bench;
pub(crate) mod bloat;
pub(crate) mod cache;
pub(crate) mod demo;
pub(crate) mod indexes;
pub(crate) mod plan;
pub(crate) mod pooler;
pub(crate) mod slow_queries;
pub(crate) mod views;
