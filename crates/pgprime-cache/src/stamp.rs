//! Stamps: what the epochs of a set of tables were at one moment.

use xxhash_rust::xxh3::Xxh3;

/// A digest of epochs. Two are equal if and only if no table changed between, since no epoch is ever used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stamp(u128);

impl Stamp {
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Stamp {
        Stamp(u128::from_be_bytes(bytes))
    }
}

/// Whether a writer is about to commit to a table, or may already have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writers {
    None,
    Present,
}

/// What was seen of a table, or of a set of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// While writers are present it covers their coming and going as well, so that a fill is shared only by readers
    /// between whom none of them ended.
    pub(crate) stamp: Stamp,
    pub(crate) writers: Writers,
}

/// Makes one stamp of parts, each with its length.
pub(crate) struct Stamper {
    hasher: Xxh3,
    writers: Writers,
}

impl Stamper {
    pub(crate) fn new() -> Stamper {
        Stamper { hasher: Xxh3::new(), writers: Writers::None }
    }

    pub(crate) fn part(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_be_bytes());
        self.hasher.update(bytes);
    }

    pub(crate) fn seen(&mut self, seen: Seen) {
        self.part(&seen.stamp.to_bytes());
        if seen.writers == Writers::Present {
            self.writers_present();
        }
    }

    pub(crate) fn writers_present(&mut self) {
        self.part(b"writers");
        self.writers = Writers::Present;
    }

    pub(crate) fn finish(&self) -> Seen {
        Seen { stamp: Stamp(self.hasher.digest128()), writers: self.writers }
    }
}
