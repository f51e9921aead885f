//! Rows in the text format of COPY: columns divided by tabs, one row a line.

use std::io::Write;

/// Writes one row, column by column, and ends its line.
pub(crate) struct RowWriter<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: true }
    }

    fn column(&mut self) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b'\t');
        }
        self.first = false;
        self.out
    }

    /// A column of text that holds no tab, newline or backslash (the generated texts hold none).
    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        debug_assert!(!value.bytes().any(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b'\\')));
        self.column().extend_from_slice(value.as_bytes());
        self
    }

    /// A column made by `format_args!`, under the same rule as [`RowWriter::text`].
    pub(crate) fn formatted(&mut self, value: std::fmt::Arguments<'_>) -> &mut Self {
        let _ = self.column().write_fmt(value);
        self
    }

    pub(crate) fn integer(&mut self, value: u64) -> &mut Self {
        self.formatted(format_args!("{value}"))
    }

    pub(crate) fn money(&mut self, cents: u64) -> &mut Self {
        self.formatted(format_args!("{}.{:02}", cents / 100, cents % 100))
    }

    pub(crate) fn money_or_null(&mut self, cents: Option<u64>) -> &mut Self {
        match cents {
            Some(cents) => self.money(cents),
            None => self.null(),
        }
    }

    pub(crate) fn null(&mut self) -> &mut Self {
        self.column().extend_from_slice(b"\\N");
        self
    }

    pub(crate) fn boolean(&mut self, value: bool) -> &mut Self {
        self.text(if value { "t" } else { "f" })
    }

    /// A date, from days since 1970-01-01.
    pub(crate) fn date(&mut self, days: i64) -> &mut Self {
        self.formatted(format_args!("{}", date_text(days)))
    }

    /// A moment, from seconds since 1970-01-01 00:00 UTC.
    pub(crate) fn timestamp(&mut self, seconds: i64) -> &mut Self {
        let (year, month, day) = civil_date(seconds.div_euclid(DAY_SECONDS));
        let of_day = seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        self.formatted(format_args!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00"))
    }

    pub(crate) fn end(&mut self) {
        self.out.push(b'\n');
    }
}

/// Seconds in a day.
pub(crate) const DAY_SECONDS: i64 = 86_400;

/// A date as SQL writes it, from days since 1970-01-01.
pub(crate) fn date_text(days: i64) -> String {
    let (year, month, day) = civil_date(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years are counted
/// from March, so that the leap day is the last of its year; 400 years have 146,097 days.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let from_march = days + 719_468;
    let era = from_march.div_euclid(146_097);
    let day_of_era = from_march.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (19_782, (2024, 2, 29)),
            (20_454, (2026, 1, 1)),
        ] {
            assert_eq!(civil_date(days), expected, "{days}");
        }
    }

    #[test]
    fn a_row_is_one_line_of_tabs() {
        let mut out = Vec::new();
        RowWriter::new(&mut out)
            .integer(7)
            .text("a b")
            .money(1205)
            .null()
            .boolean(true)
            .timestamp(86_399)
            .date(0)
            .end();
        assert_eq!(out, b"7\ta b\t12.05\t\\N\tt\t1970-01-01 23:59:59+00\t1970-01-01\n");
    }
}
