//! The advisor on real databases and files.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod advise;
mod aggregates;
mod apply;
mod counted;
mod explain;
mod history;
mod index_review;
mod plan;
mod selection;
mod slow;
mod space;
