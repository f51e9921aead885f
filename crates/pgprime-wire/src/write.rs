//! Writing messages: the length field is filled in when the body is known.

/// Appends one message: tag, length, and what `body` appends.
pub(crate) fn message(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    packet(out, body);
}

/// Appends one untagged packet: length, and what `body` appends.
pub(crate) fn packet(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = length_field(out.len().saturating_sub(start));
    if let Some(field) = out.get_mut(start..).and_then(|packet| packet.first_chunk_mut()) {
        *field = length;
    }
}

/// A length as it is sent. One above the protocol's 2 GiB becomes -1, which every receiver refuses: a connection
/// that closes is better than one whose frames are read at the wrong places.
pub(crate) fn length_field(len: usize) -> [u8; 4] {
    i32::try_from(len).unwrap_or(-1).to_be_bytes()
}

/// Appends a text and the NUL that ends it.
pub(crate) fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(cut_at_nul(text));
    out.push(0);
}

/// The text up to its first NUL: the part that the protocol can carry.
pub(crate) fn cut_at_nul(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Appends a value with its length before it; NULL is the length -1.
pub(crate) fn value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => {
            out.extend_from_slice(&length_field(value.len()));
            out.extend_from_slice(value);
        }
        None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

/// Appends the count of `items`, which is at most `max`, and each item up to it. The protocol's counts have 16 bits.
pub(crate) fn counted<T>(out: &mut Vec<u8>, items: &[T], max: u16, each: impl FnMut(&mut Vec<u8>, &T)) {
    let count = u16::try_from(items.len()).unwrap_or(max).min(max);
    out.extend_from_slice(&count.to_be_bytes());
    let mut each = each;
    items.iter().take(usize::from(count)).for_each(|item| each(out, item));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_above_the_protocols_limit_is_one_that_receivers_refuse() {
        assert_eq!(length_field(4), [0, 0, 0, 4]);
        assert_eq!(length_field(i32::MAX as usize), [0x7f, 0xff, 0xff, 0xff]);
        for len in [i32::MAX as usize + 1, usize::MAX] {
            let [a, b, c, d] = length_field(len);
            assert!(crate::frame::Header::peek(&[b'Q', a, b, c, d]).is_err(), "{len}");
        }
    }

    #[test]
    fn a_count_never_wraps() {
        let check = |len: usize, max: u16, expected: u16| {
            let mut out = Vec::new();
            counted(&mut out, &vec![(); len], max, |out, ()| out.push(0));
            assert_eq!(out[..2], expected.to_be_bytes(), "{len} items, at most {max}");
            assert_eq!(out.len(), 2 + usize::from(expected), "{len} items, at most {max}");
        };
        check(0, 10, 0);
        check(10, 10, 10);
        check(11, 10, 10);
        check(70_000, u16::MAX, u16::MAX);
    }

    #[test]
    fn a_text_ends_at_its_first_nul() {
        let mut out = Vec::new();
        text(&mut out, b"user\0superuser");
        assert_eq!(out, b"user\0");
    }
}
