//! Reads result rows in text form, column by column, without copying.

/// The columns of a DataRow that were not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    rest: &'a [u8],
    columns: u16,
}

impl<'a> Row<'a> {
    /// The row in a DataRow's body; a body that is cut has no columns.
    pub(crate) fn new(body: &'a [u8]) -> Self {
        match body.split_first_chunk() {
            Some((count, rest)) => Self { rest, columns: u16::from_be_bytes(*count) },
            None => Self { rest: &[], columns: 0 },
        }
    }

    /// Columns that were not read yet.
    pub(crate) fn columns(&self) -> u16 {
        self.columns
    }

    /// The next column's text: `None` after the last column, where the row is cut, and for NULL.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        self.columns = self.columns.checked_sub(1)?;
        let (length, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
        let (value, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(value)
    }

    /// The next column as a whole number that is not negative.
    pub(crate) fn integer(&mut self) -> Option<u64> {
        digits(self.text()?)
    }

    /// The next column as an amount of money with two decimals, in cents.
    pub(crate) fn cents(&mut self) -> Option<u64> {
        let text = self.text()?;
        let (whole, decimals) = text.split_at_checked(text.len().checked_sub(3)?)?;
        let decimals = decimals.strip_prefix(b".")?;
        digits(whole)?.checked_mul(100)?.checked_add(digits(decimals)?)
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for byte in text {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (!text.is_empty()).then_some(value)
}

/// A whole number as text, without an allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits {
    text: [u8; 20],
    start: usize,
}

impl Digits {
    pub(crate) fn new(mut value: u64) -> Self {
        let (mut text, mut start) = ([b'0'; 20], 20);
        while start > 0 && (value > 0 || start == 20) {
            start -= 1;
            text[start] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        Self { text, start }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(columns: &[Option<&[u8]>]) -> Vec<u8> {
        let mut body = (columns.len() as u16).to_be_bytes().to_vec();
        for column in columns {
            body.extend(column.map_or(-1, |text| text.len() as i32).to_be_bytes());
            body.extend(column.unwrap_or_default());
        }
        body
    }

    #[test]
    fn columns_are_read_in_turn() {
        let body = body(&[Some(b"42"), None, Some(b"13.07"), Some(b"x")]);
        let mut row = Row::new(&body);
        assert_eq!(row.columns(), 4);
        assert_eq!(
            (row.integer(), row.text(), row.cents(), row.integer()),
            (Some(42), None, Some(1307), None)
        );
        assert_eq!((row.columns(), row.text()), (0, None));
    }

    #[test]
    fn a_cut_row_gives_no_value() {
        let whole = body(&[Some(b"42")]);
        for end in 0..whole.len() {
            assert_eq!(Row::new(&whole[..end]).integer(), None, "cut at {end}");
        }
    }

    #[test]
    fn numbers_as_text() {
        for value in [0, 7, 10, 90_210, u64::MAX] {
            assert_eq!(Digits::new(value).bytes(), value.to_string().as_bytes());
        }
        assert_eq!(digits(b"99999999999999999999"), None);
    }
}
