//! Texts of any number of statements, and the bodies of functions.

use super::error::SqlError;
use super::parser::{is_white, on_deep_stack, statements};
use super::tree::Tree;

/// Hands the trees of all statements of a text to `then`: none for a text of white space and comments. `then` runs on a
/// thread with stack enough for a walk over the deepest tree that is read, and must keep no tree.
///
/// # Errors
/// [`SqlError`] when PostgreSQL's grammar does not take the text, or it is too long or nested too deep.
pub fn with_statements<T: Send>(text: &str, then: impl FnOnce(&[Tree]) -> T + Send) -> Result<T, SqlError> {
    on_deep_stack(text, || {
        // The library's scanner must not be given a text without any token.
        let found = if is_white(text) { Vec::new() } else { statements(text)?.0 };
        let trees = found.into_iter().filter_map(|raw| raw.stmt).map(|statement| Tree::of(&*statement));
        Ok(then(&trees.collect::<Vec<_>>()))
    })
}
