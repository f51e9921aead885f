//! The form of an entry in Redis: a header with a checksum over everything, then the bytes, compressed or not.
//!
//! | bytes | what |
//! |---|---|
//! | 3 | `pgc` |
//! | 1 | version of this form |
//! | 8 | checksum (XXH3) of the key and of all bytes after this field |
//! | 1 | 0 as it is, 1 LZ4 |
//! | 16 | stamp of the tables' epochs before the fill |
//! | 8 | when the fill began, milliseconds of the Redis server's clock |
//! | 8, 8 | milliseconds that it is fresh, and then still served while it is filled anew |
//! | 4 | length of the bytes as they were |
//!
//! The checksum finds what is broken or belongs to another key. It is no signature: whoever may write to Redis can forge.

use std::time::Duration;

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::key::Key;
use crate::stamp::Stamp;

const MAGIC: &[u8; 3] = b"pgc";
const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const LZ4: u8 = 1;
/// Magic, version and checksum.
const PREFIX_BYTES: usize = 12;
/// Bytes ahead of the result's.
pub(crate) const HEADER_BYTES: usize = PREFIX_BYTES + 1 + 16 + 8 + 8 + 8 + 4;

/// An entry of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) stamp: Stamp,
    /// When its fill began, by the Redis server's clock.
    pub(crate) created_ms: u64,
    pub(crate) fresh_for: Duration,
    pub(crate) stale_for: Duration,
}

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Garbage {
    Truncated,
    Foreign,
    Version(u8),
    Checksum,
    TooLarge,
    Compression,
}

/// The entry in the form of Redis.
pub(crate) fn encode(key: &Key, stored: &Stored, compress_above_bytes: usize) -> Vec<u8> {
    let compressed = (stored.bytes.len() > compress_above_bytes)
        .then(|| lz4_flex::block::compress(&stored.bytes))
        .filter(|compressed| compressed.len() < stored.bytes.len());
    let (form, payload) = match &compressed {
        Some(compressed) => (LZ4, compressed.as_slice()),
        None => (PLAIN, stored.bytes.as_ref()),
    };
    let mut out = Vec::with_capacity(HEADER_BYTES + payload.len());
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&[0; 8]);
    out.push(form);
    out.extend_from_slice(&stored.stamp.to_bytes());
    out.extend_from_slice(&stored.created_ms.to_be_bytes());
    out.extend_from_slice(&millis(stored.fresh_for).to_be_bytes());
    out.extend_from_slice(&millis(stored.stale_for).to_be_bytes());
    // A longer result was refused long before: `value_bytes_max` is checked by whoever stores.
    out.extend_from_slice(&u32::try_from(stored.bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(payload);
    let sum = checksum(key, &out[PREFIX_BYTES..]);
    out[4..PREFIX_BYTES].copy_from_slice(&sum.to_be_bytes());
    out
}

/// Reads what `encode` wrote for the same key; anything else is garbage, whatever it is.
pub(crate) fn decode(key: &Key, input: &[u8], value_bytes_max: usize) -> Result<Stored, Garbage> {
    let mut reader = Reader(input);
    if reader.array::<3>()? != *MAGIC {
        return Err(Garbage::Foreign);
    }
    let [version] = reader.array()?;
    if version != VERSION {
        return Err(Garbage::Version(version));
    }
    let sum = u64::from_be_bytes(reader.array()?);
    if checksum(key, reader.0) != sum {
        return Err(Garbage::Checksum);
    }
    let [form] = reader.array()?;
    let stamp = Stamp::from_bytes(reader.array()?);
    let created_ms = u64::from_be_bytes(reader.array()?);
    let fresh_for = Duration::from_millis(u64::from_be_bytes(reader.array()?));
    let stale_for = Duration::from_millis(u64::from_be_bytes(reader.array()?));
    let length = u32::from_be_bytes(reader.array()?) as usize;
    let bytes = payload(form, reader.0, length, value_bytes_max)?;
    Ok(Stored { bytes, stamp, created_ms, fresh_for, stale_for })
}

fn payload(form: u8, input: &[u8], length: usize, value_bytes_max: usize) -> Result<Bytes, Garbage> {
    if length > value_bytes_max {
        return Err(Garbage::TooLarge);
    }
    let bytes = match form {
        PLAIN => Bytes::copy_from_slice(input),
        LZ4 => lz4_flex::block::decompress(input, length).map_err(|_| Garbage::Compression)?.into(),
        _ => return Err(Garbage::Compression),
    };
    if bytes.len() == length { Ok(bytes) } else { Err(Garbage::Truncated) }
}

fn checksum(key: &Key, bytes: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(key.as_bytes());
    hasher.update(bytes);
    hasher.digest()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Garbage> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Garbage::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::KeyBuilder;

    const MAX: usize = 1 << 20;

    fn key() -> Key {
        KeyBuilder::new().text("SELECT 1").build()
    }

    fn stored(bytes: Vec<u8>) -> Stored {
        Stored {
            bytes: bytes.into(),
            stamp: Stamp::from_bytes([7; 16]),
            created_ms: 1_764_000_000_123,
            fresh_for: Duration::from_millis(57_123),
            stale_for: Duration::from_secs(5),
        }
    }

    /// Garbage that carries a right checksum: what comes behind must hold up as well.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let sum = checksum(&key(), &bytes[PREFIX_BYTES..]);
        bytes[4..PREFIX_BYTES].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn what_is_cut_anywhere_is_garbage() {
        for entry in [stored(b"0123456789".repeat(3)), stored(vec![b'x'; 10_000]), stored(Vec::new())] {
            let encoded = encode(&key(), &entry, 1000);
            assert_eq!(decode(&key(), &encoded, MAX), Ok(entry));
            for length in 0..encoded.len() {
                assert!(decode(&key(), &encoded[..length], MAX).is_err(), "cut at {length}");
            }
        }
    }

    #[test]
    fn compression_is_used_where_it_helps() {
        let sizes = |bytes: Vec<u8>| encode(&key(), &stored(bytes), 1000).len() - HEADER_BYTES;
        assert_eq!(sizes(vec![0; 1000]), 1000);
        assert!(sizes(vec![0; 1001]) < 100);
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(5000).collect();
        assert_eq!(sizes(noise), 5000);
    }

    #[test]
    fn each_kind_of_garbage_is_told_apart() {
        let good = encode(&key(), &stored(vec![b'x'; 100]), MAX);
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            bytes
        };
        let other = KeyBuilder::new().text("SELECT 2").build();
        let length_at = HEADER_BYTES - 4;
        assert_eq!(decode(&key(), b"", MAX), Err(Garbage::Truncated));
        assert_eq!(decode(&key(), b"OK and more", MAX), Err(Garbage::Foreign));
        assert_eq!(decode(&key(), &changed(3, 2), MAX), Err(Garbage::Version(2)));
        assert_eq!(decode(&key(), &changed(HEADER_BYTES, 0), MAX), Err(Garbage::Checksum));
        assert_eq!(decode(&other, &good, MAX), Err(Garbage::Checksum), "of another key");
        assert_eq!(decode(&key(), &good, 99), Err(Garbage::TooLarge));
        assert_eq!(decode(&key(), &sealed(changed(PREFIX_BYTES, 9)), MAX), Err(Garbage::Compression));
        assert_eq!(decode(&key(), &sealed(changed(PREFIX_BYTES, LZ4)), MAX), Err(Garbage::Compression));
        assert_eq!(decode(&key(), &sealed(changed(length_at + 3, 5)), MAX), Err(Garbage::Truncated));
        assert_eq!(decode(&key(), &sealed(changed(length_at, 0xff)), MAX), Err(Garbage::TooLarge), "a bomb");
    }

    proptest! {
        #[test]
        fn round_trip(bytes in prop::collection::vec(any::<u8>(), 0..3000), above in 0usize..4000) {
            let entry = stored(bytes);
            prop_assert_eq!(decode(&key(), &encode(&key(), &entry, above), MAX), Ok(entry));
        }

        #[test]
        fn no_garbage_passes_or_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(&key(), &bytes, MAX).is_err());
        }

        #[test]
        fn garbage_behind_a_right_checksum_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 45..300), form in 0u8..3) {
            let mut entry = [b"pgc\x01".as_slice(), &[0; 8], &bytes].concat();
            entry[PREFIX_BYTES] = form;
            // A length that could be meant.
            entry[HEADER_BYTES - 4..HEADER_BYTES - 1].fill(0);
            let _ = decode(&key(), &sealed(entry), MAX);
        }

        #[test]
        fn one_changed_bit_is_found(at in 0usize..200, bit in 0u8..8) {
            let mut bytes = encode(&key(), &stored(vec![b'x'; 200]), 4000);
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&key(), &bytes, MAX).is_err());
        }
    }
}
