//! Numbers for people.

/// With separators between thousands; decimals only below ten.
pub(super) fn number(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        return trimmed(&format!("{value:.2}"));
    }
    if value >= 1e15 {
        return format!("{value:.1e}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Shortened from a hundred thousand on: `1.2M`.
pub(super) fn short(value: f64) -> String {
    match value {
        value if value >= 1e12 => format!("{value:.0e}"),
        value if value >= 999_500_000.0 => trimmed(&format!("{:.1}", value / 1e9)) + "G",
        value if value >= 999_500.0 => trimmed(&format!("{:.1}", value / 1e6)) + "M",
        value if value >= 100_000.0 => format!("{:.0}k", value / 1e3),
        value => number(value),
    }
}

/// With a unit that suits.
pub(super) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms >= 3e11 => format!("{:.0e} h", ms / 3_600_000.0),
        ms if ms >= 36_000_000.0 => format!("{:.1} h", ms / 3_600_000.0),
        ms if ms >= 60_000.0 => format!("{:.1} min", ms / 60_000.0),
        ms if ms >= 1000.0 => format!("{:.2} s", ms / 1000.0),
        ms if ms >= 100.0 => format!("{ms:.0} ms"),
        ms if ms >= 10.0 => format!("{ms:.1} ms"),
        ms if ms >= 0.1 => format!("{ms:.2} ms"),
        ms => format!("{ms:.3} ms"),
    }
}

/// 0.123 as `12.3 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 99.95 || percent == 0.0 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// With a unit that suits.
pub(super) fn kibibytes(kib: f64) -> String {
    match kib {
        kib if kib >= 1e15 => format!("{kib:.1e} kB"),
        kib if kib >= 1_048_576.0 => format!("{:.1} GB", kib / 1_048_576.0),
        kib if kib >= 1024.0 => format!("{:.1} MB", kib / 1024.0),
        kib => format!("{kib:.0} kB"),
    }
}

fn trimmed(number: &str) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}
