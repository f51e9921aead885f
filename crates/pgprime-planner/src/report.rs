//! A plan for people to read.
//!
//! Everything can be read without colour; no line is wider than 100 characters.

mod document;
mod paint;
mod settings;
mod text;

pub use document::Document;
pub use paint::Colour;
pub use text::{Report, text};
