//! The pool on a fake database, mostly in stopped time: what is tested is the pool, and to the millisecond.

mod harness;
mod health;
mod outage;
mod storm;
mod waiting;
