//! `pgprime run`: the whole system from one configuration, or from the database's URL alone.

mod interface;
mod options;
mod parts;
mod recorder;
mod reload;
mod serve;
mod sources;
mod system;
mod views;

pub(crate) use options::Arguments;
pub(crate) use parts::Parts;
pub(crate) use serve::{multi_threaded, run};
pub(crate) use system::System;
