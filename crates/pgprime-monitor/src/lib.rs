//! Watches a database and what stands in front of it: health, history, alerts, and the tuning checklist.
//!
//! * [`health`] observes and judges: each check has a value with its unit, thresholds, a trend, and what to do.
//! * [`watch`] takes one look after another and hands each to whoever is interested.
//! * [`pooler`] reads the pooler in front of the database, pgprime's own or PgBouncer, into one report.
//! * [`history`] keeps series of figures; [`alerts`] tells people when checks stay bad, once; [`checklist`] checks the
//!   tuning checklist with evidence.
//! * [`export`] says all of it to Prometheus, and makes rules and a dashboard for others' tools.
//!
//! Rules are pure and take `now`; what asks a database has limits on its time, changes nothing, and takes no lock that
//! anybody could wait for.

pub mod alerts;
pub mod checklist;
pub mod export;
pub mod health;
pub mod history;
pub mod pooler;
pub mod watch;
