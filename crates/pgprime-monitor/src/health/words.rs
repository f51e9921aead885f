//! Figures for people.

/// Bytes with the unit that keeps them short, as `1.5 GiB`, as the dashboard writes them.
pub(crate) fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes.max(0.0);
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < units.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 100.0);
    format!("{value:.digits$} {}", units[unit])
}

/// A number with commas, as `1,234,567`; small ones with a digit after the point where there is one.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 99.95 && (value - value.round()).abs() >= 0.05 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < -0.5 { format!("-{text}") } else { text }
}

/// A time, as `350 ms`, `12 s`, `3 min`, `5 h`, `4 days`.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 0.0995 => format!("{} ms", number(s * 1_000.0)),
        s if s < 0.995 => format!("{:.0} ms", s * 1_000.0),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 100.0 * 60.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3_600.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// A share of 0 to 100, as `83 %`; those near an end with a digit more.
pub(crate) fn percent(percent: f64) -> String {
    let is_fine = percent > 0.0 && percent < 9.95 || percent > 99.0 && percent < 100.0;
    if is_fine { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// Libraries one by one, each in quotes: a list in quotes would be one library of that name.
pub(crate) fn library_list(libraries: &str) -> String {
    let names = libraries.split(',').map(|library| library.trim().trim_matches('"'));
    let names = names.filter(|library| !library.is_empty());
    names.map(|library| format!("'{}'", library.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
}

/// The count with its noun: `1 replica`, `3 replicas`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", number(count as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_written_one_by_one() {
        for (list, expected) in [
            ("", ""),
            (", pg_stat_statements", "'pg_stat_statements'"),
            ("auto_explain, \"$libdir/other\"", "'auto_explain', '$libdir/other'"),
        ] {
            assert_eq!(library_list(list), expected);
        }
    }

    #[test]
    fn figures_for_people() {
        for (value, expected) in [
            (0.0, "0 B"),
            (1_023.0, "1023 B"),
            (8_192.0, "8.0 KiB"),
            (1.5 * 1_073_741_824.0, "1.5 GiB"),
            (23.46 * 1_073_741_824.0, "23.5 GiB"),
            (128.0 * 1_048_576.0, "128 MiB"),
        ] {
            assert_eq!(bytes(value), expected);
        }
        for (value, expected) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (12.5, "12.5"),
            (999.0, "999"),
            (1_234_567.0, "1,234,567"),
            (-5.0, "-5"),
        ] {
            assert_eq!(number(value), expected);
        }
        for (value, expected) in [
            (0.0012, "1.2 ms"),
            (0.35, "350 ms"),
            (1.5, "1.5 s"),
            (61.0, "61 s"),
            (600.0, "10 min"),
            (7_200.0, "2 h"),
            (864_000.0, "10 days"),
        ] {
            assert_eq!(seconds(value), expected);
        }
        for (value, expected) in
            [(0.0, "0 %"), (0.25, "0.2 %"), (83.4, "83 %"), (99.95, "100.0 %"), (100.0, "100 %")]
        {
            assert_eq!(percent(value), expected);
        }
        assert_eq!(
            (plural(1, "replica"), plural(1_200, "replica")),
            ("1 replica".into(), "1,200 replicas".into())
        );
    }
}
