//! Framing: every message after startup is a tag byte, a length of four bytes that counts itself, and a body.

use crate::WireError;

/// Bytes before a message's body: tag and length field.
pub const HEADER_BYTES: usize = 5;

/// Smallest value of the length field, which counts itself.
const LENGTH_MIN: i32 = 4;

/// What stands before a message's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message's type, see [`crate::tag`].
    pub tag: u8,
    /// Bytes of the whole message, *including* the tag byte and the length field; never below [`HEADER_BYTES`].
    pub len: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`: `None` while fewer than [`HEADER_BYTES`] are there.
    ///
    /// The length is what the peer claims, up to 2 GiB; whether the body has arrived, or may be that long, is for
    /// the caller to see.
    ///
    /// # Errors
    /// A length field below 4, or above `i32::MAX`.
    #[inline]
    pub fn peek(bytes: &[u8]) -> Result<Option<Header>, WireError> {
        let [tag, a, b, c, d, ..] = *bytes else { return Ok(None) };
        let length = i32::from_be_bytes([a, b, c, d]);
        match usize::try_from(length) {
            Ok(len) if length >= LENGTH_MIN => Ok(Some(Header { tag, len: len.saturating_add(1) })),
            _ => Err(length_error([a, b, c, d])),
        }
    }

    /// The body of this header's message: the bytes after the header, up to the message's end or, where `message`
    /// is not all there, to the end of `message`. What follows the message is left out.
    #[inline]
    #[must_use]
    pub fn body<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        message.get(HEADER_BYTES..self.len.min(message.len())).unwrap_or_default()
    }
}

#[cold]
fn length_error(field: [u8; 4]) -> WireError {
    WireError::OutOfBounds {
        message: "message header",
        field: "a length",
        min: i64::from(LENGTH_MIN),
        max: i64::from(i32::MAX),
        found: i64::from(u32::from_be_bytes(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_once_five_bytes_are_there() {
        let cases: [(&[u8], Option<Header>); 8] = [
            (b"", None),
            (b"Z", None),
            (b"Z\0\0\0", None),
            (b"S\0\0\0\x04", Some(Header { tag: b'S', len: 5 })),
            (b"Z\0\0\0\x05", Some(Header { tag: b'Z', len: 6 })),
            (b"Z\0\0\0\x05I and more", Some(Header { tag: b'Z', len: 6 })),
            (b"\0\0\0\x01\0", Some(Header { tag: 0, len: 257 })),
            (b"d\x7f\xff\xff\xff", Some(Header { tag: b'd', len: 0x8000_0000 })),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Header::peek(bytes), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn an_impossible_length_is_an_error() {
        for (bytes, found) in [
            (b"Q\0\0\0\0", 0),
            (b"Q\0\0\0\x03", 3),
            (b"Q\x80\0\0\0", 0x8000_0000),
            (b"Q\xff\xff\xff\xff", 0xffff_ffff),
        ] {
            let error = Header::peek(bytes).unwrap_err();
            assert!(
                matches!(error, WireError::OutOfBounds { min: 4, found: f, .. } if f == found),
                "{error}"
            );
        }
        let shown = Header::peek(b"HTTP/1.1 ").unwrap().unwrap();
        assert_eq!(
            shown.len,
            0x5454_502f + 1,
            "text looks like a long message: bounding it is the caller's part"
        );
    }

    #[test]
    fn a_body_is_clipped_to_what_is_there_and_to_the_message() {
        let header = Header { tag: b'Q', len: 8 };
        let cases: [(&[u8], &[u8]); 5] = [
            (b"", b""),
            (b"Q\0\0\0", b""),
            (b"Q\0\0\0\x07ab", b"ab"),
            (b"Q\0\0\0\x07ab\0", b"ab\0"),
            (b"Q\0\0\0\x07ab\0Z\0\0", b"ab\0"),
        ];
        for (message, expected) in cases {
            assert_eq!(header.body(message), expected, "{message:?}");
        }
        assert_eq!(Header { tag: 0, len: 0 }.body(b"Q\0\0\0\x04"), b"", "a header built by hand");
    }
}
