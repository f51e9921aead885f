//! The text format, brought into the shape of the JSON format.

mod clean;
mod node_line;
mod property;
mod summary;
mod tree;

pub(super) use clean::{Line, clean};
pub(super) use tree::read;
