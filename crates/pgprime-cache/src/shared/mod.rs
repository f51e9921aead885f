//! The tier that instances share, in Redis or Valkey.

mod debt;
mod health;
mod home;
mod link;
mod report;
mod scripts;
mod tier;
mod trouble;
mod url;
mod views;

pub use report::{Reach, RedisReport, RedisState};

pub(crate) use debt::Change;
pub(crate) use link::Address;
pub(crate) use tier::{OurClaim, SharedTier};
pub(crate) use views::Looked;
