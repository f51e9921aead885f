//! A part of a look.

use pgprime_readonly::Missing;

/// What a part of the look gave, or why it gave nothing. No part keeps another from being seen.
pub type Section<T> = Result<T, Missing>;
