//! Reading fields from a message one after another.

use crate::WireError;

/// The rest of a message, and its name for errors.
pub(crate) struct Reader<'a> {
    message: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'static str, body: &'a [u8]) -> Self {
        Self { message, rest: body }
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, WireError> {
        self.array(field).map(i32::from_be_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let cut = WireError::Cut { message: self.message, field, needed: N, left: self.rest.len() };
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(cut)?;
        self.rest = rest;
        Ok(*head)
    }

    /// A text, without the NUL that ends it.
    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a [u8], WireError> {
        let (text, rest) =
            split_text(self.rest).ok_or(WireError::Unterminated { message: self.message, field })?;
        self.rest = rest;
        Ok(text)
    }

    pub(crate) fn utf8(&mut self, field: &'static str) -> Result<&'a str, WireError> {
        let text = self.text(field)?;
        std::str::from_utf8(text).map_err(|_| WireError::NotUtf8 { message: self.message, field })
    }

    /// Texts up to the empty one that ends the list.
    pub(crate) fn utf8_list(&mut self, field: &'static str) -> Result<Vec<&'a str>, WireError> {
        let mut list = Vec::new();
        loop {
            match self.utf8(field)? {
                "" => return Ok(list),
                text => list.push(text),
            }
        }
    }

    /// What is left of the message.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The end of the message: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(WireError::Trailing { message: self.message, bytes }),
        }
    }

    /// An error about a length or count of this message.
    pub(crate) fn out_of_bounds(
        &self,
        field: &'static str,
        min: usize,
        max: usize,
        found: usize,
    ) -> WireError {
        let number = |value| i64::try_from(value).unwrap_or(i64::MAX);
        WireError::OutOfBounds {
            message: self.message,
            field,
            min: number(min),
            max: number(max),
            found: number(found),
        }
    }
}

/// The text before the first NUL, and what follows the NUL. `None` without a NUL.
pub(crate) fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(memchr::memchr(0, bytes)?)?;
    Some((text, rest.get(1..)?))
}
