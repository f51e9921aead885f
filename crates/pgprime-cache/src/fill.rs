//! What a fill gives.

use bytes::Bytes;

/// A result as the database gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    pub(crate) bytes: Bytes,
    pub(crate) keep: Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Yes,
    No,
}

impl Filled {
    /// A result to store and to hand to all who wait for it.
    pub fn new(bytes: impl Into<Bytes>) -> Filled {
        Filled { bytes: bytes.into(), keep: Keep::Yes }
    }

    /// A result for this call alone: the fill found out that it must not be cached.
    pub fn not_cacheable(bytes: impl Into<Bytes>) -> Filled {
        Filled { bytes: bytes.into(), keep: Keep::No }
    }
}

impl From<Vec<u8>> for Filled {
    fn from(bytes: Vec<u8>) -> Filled {
        Filled::new(bytes)
    }
}
