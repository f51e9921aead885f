//! The crate from outside: every message as bytes, cut at every byte, with any byte changed, and at random.

#[path = "../../fuzz/exercise.rs"]
mod exercise;

mod corpus;
mod messages;
mod random;
mod samples;
