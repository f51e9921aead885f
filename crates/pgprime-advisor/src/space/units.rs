//! Numbers for people.

/// Bytes with the unit that keeps them short, as `1.5 GiB`, as the dashboard writes them.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < units.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 100.0);
    format!("{value:.digits$} {}", units[unit])
}

/// A count with commas, as `1,234,567`.
pub(crate) fn amount(count: u64) -> String {
    let digits = count.to_string();
    let (mut groups, mut rest) = (Vec::new(), digits.as_str());
    while rest.len() > 3 {
        let (head, group) = rest.split_at(rest.len() - 3);
        groups.push(group);
        rest = head;
    }
    groups.push(rest);
    groups.reverse();
    groups.join(",")
}

/// How long ago, as `3 h`; `None` as `never`.
pub(crate) fn ago(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "never".to_owned() };
    match seconds.max(0.0) {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 100.0 * 60.0 => format!("{:.0} min", s / 60.0),
        s if s < 72.0 * 3_600.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (count, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (8_192, "8.0 KiB"),
            (10 << 20, "10.0 MiB"),
            (1_500 << 20, "1.5 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
        assert_eq!((amount(0), amount(999), amount(1_000)), ("0".into(), "999".into(), "1,000".into()));
        assert_eq!(amount(2_147_483_648), "2,147,483,648");
        for (seconds, expected) in [
            (None, "never"),
            (Some(5.0), "5 s"),
            (Some(600.0), "10 min"),
            (Some(86_400.0), "24 h"),
            (Some(864_000.0), "10 days"),
        ] {
            assert_eq!(ago(seconds), expected);
        }
    }
}
