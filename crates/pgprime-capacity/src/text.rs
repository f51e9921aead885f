//! Numbers as people read them.

/// With thousands apart and no more decimals than matter: `1,000`, `12.2`, `0.836`.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        _ if magnitude >= 100.0 => 0,
        _ if magnitude >= 10.0 => 1,
        _ if magnitude >= 1.0 => 2,
        _ if magnitude >= 0.1 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut shown = thousands(whole);
    if !fraction.is_empty() {
        shown.push('.');
        shown.push_str(fraction);
    }
    shown
}

/// A count of something: `1 connection`, `1,000 connections`.
pub(crate) fn count(value: u32, noun: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(f64::from(value)))
}

/// A fraction as a percentage: `83 %`.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{} %", number((fraction * 1000.0).round() / 10.0))
}

fn thousands(whole: &str) -> String {
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut shown = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [
            (0.0, "0"),
            (0.8364, "0.836"),
            (1.0, "1"),
            (7.505, "7.5"),
            (0.004, "0.004"),
            (12.16, "12.2"),
            (20.0, "20"),
            (100.0, "100"),
            (1000.0, "1,000"),
            (1_234_567.4, "1,234,567"),
            (-1500.0, "-1,500"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
        assert_eq!(count(1, "connection"), "1 connection");
        assert_eq!(count(1000, "connection"), "1,000 connections");
        assert_eq!(percent(0.8), "80 %");
        assert_eq!(percent(0.8333), "83.3 %");
    }
}
