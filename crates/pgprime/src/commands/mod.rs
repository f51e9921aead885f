//! One module for each command: its options and their way into the library that does the work.

pub(crate) mod alerts;
pub(crate) mod analyze;
pub(crate) mod bench;
pub(crate) mod bloat;
pub(crate) mod cache;
pub(crate) mod checklist;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod health;
pub(crate) mod indexes;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod pooler;
pub(crate) mod reference;
pub(crate) mod run;
pub(crate) mod slow_queries;
pub(crate) mod token;
pub(crate) mod views;
