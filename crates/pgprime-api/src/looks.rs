//! What several endpoints or callers share of what was looked at: its shape, and how it is made.

mod cache;
mod indexes;
mod statements;
mod views;

pub(crate) use cache::CacheState;
pub(crate) use indexes::Indexes;
pub(crate) use statements::{moment, pooler_statements};
pub(crate) use views::Views;
