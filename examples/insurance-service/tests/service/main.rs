//! The service under load, against a real PostgreSQL with a replica: in calm, with its pool exhausted, with the database
//! restarted, and without the replica.

mod exports;
mod http;
mod load;
mod outages;
mod program;
mod requests;
mod service;
