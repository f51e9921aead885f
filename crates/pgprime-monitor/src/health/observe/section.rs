//! A part of a look.

use crate::health::report::Missing;

/// What a part of the look gave, or why it gave nothing. No part keeps another from being seen.
pub type Section<T> = Result<T, Missing>;
