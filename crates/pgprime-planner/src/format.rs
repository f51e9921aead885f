//! Numbers for people.

/// A time in milliseconds with two or three significant digits and its unit: `0.04 ms`, `1.3 ms`, `250 ms`, `4.2 s`.
#[must_use]
pub(crate) fn milliseconds(value: f64) -> String {
    match value {
        value if !value.is_finite() => "no end".to_owned(),
        value if value <= 0.0 => "0 ms".to_owned(),
        value if value < 0.01 => "< 0.01 ms".to_owned(),
        value if value < 1.0 => format!("{} ms", decimals(value, 2)),
        value if value < 99.95 => format!("{} ms", decimals(value, 1)),
        value if value < 999.5 => format!("{} ms", decimals(value, 0)),
        value if value < 99_950.0 => format!("{} s", decimals(value / 1000.0, 1)),
        value => format!("{} s", decimals(value / 1000.0, 0)),
    }
}

/// A number with at most this many decimals and no trailing zeros.
#[must_use]
pub(crate) fn decimals(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => grouped(text.trim_end_matches('0').trim_end_matches('.')),
        false => grouped(&text),
    }
}

/// A number with the decimals that matter: `1,000`, `12.5`, `0.0455`.
#[must_use]
pub(crate) fn number(value: f64) -> String {
    let places = if value < 1.0 { 4 } else { 1 };
    decimals(value, places)
}

/// So many connections, one included.
#[must_use]
pub(crate) fn connections(value: u32) -> String {
    format!("{} connection{}", count(value), if value == 1 { "" } else { "s" })
}

/// A whole number with commas between thousands.
#[must_use]
pub(crate) fn count(value: impl Into<u64>) -> String {
    grouped(&value.into().to_string())
}

/// A share as a percentage: `83 %`.
#[must_use]
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{} %", decimals(share * 100.0, 0)) } else { "–".to_owned() }
}

fn grouped(digits: &str) -> String {
    let (whole, rest) = digits.find('.').map_or((digits, ""), |point| digits.split_at(point));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (value, expected) in [
            (0.0, "0 ms"),
            (0.004, "< 0.01 ms"),
            (0.04, "0.04 ms"),
            (0.5, "0.5 ms"),
            (1.26, "1.3 ms"),
            (20.0, "20 ms"),
            (249.6, "250 ms"),
            (999.7, "1 s"),
            (4_210.0, "4.2 s"),
            (1_234_567.0, "1,235 s"),
            (f64::INFINITY, "no end"),
        ] {
            assert_eq!(milliseconds(value), expected);
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(count(10_000_u32), "10,000");
        assert_eq!(count(999_u32), "999");
        assert_eq!(decimals(1_234.50, 2), "1,234.5");
        assert_eq!(decimals(-1_234.0, 2), "-1,234");
        assert_eq!(
            (connections(1), connections(25)),
            ("1 connection".to_owned(), "25 connections".to_owned())
        );
        assert_eq!(percent(0.834), "83 %");
        assert_eq!((number(1_000.0), number(0.125)), ("1,000".to_owned(), "0.125".to_owned()));
    }
}
