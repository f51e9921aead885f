//! The pooler.
//!
//! x

pub mod core;
pub mod settings;
pub mod userlist;
