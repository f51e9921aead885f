//! What clients of the console may do.

/// What a client may do on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    Admin,
    Stats,
}
