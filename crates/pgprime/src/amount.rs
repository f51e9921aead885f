//! Amounts of memory, space and time as people write them.

use std::time::Duration;

use jiff::SignedDuration;

/// An amount in bytes: `64GB`, `512MB`, `1.5TB`; a unit is 1,024 of the one before, as in PostgreSQL.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let has_unit = text.trim_end().ends_with(|letter: char| letter.is_ascii_alphabetic());
    let amount = size(text).ok().filter(|amount| has_unit && *amount >= 1);
    amount.ok_or_else(|| "give an amount with its unit, such as 64GB or 512MB".to_owned())
}

/// As [`bytes`], with 0 and plain numbers of bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let help = || "give an amount with its unit, such as 10MB or 1GB".to_owned();
    let text = text.trim();
    let split = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "kb" | "kib" | "k" => 10,
        "mb" | "mib" | "m" => 20,
        "gb" | "gib" | "g" => 30,
        "tb" | "tib" | "t" => 40,
        _ => return Err(help()),
    };
    let number: f64 = number.trim().parse().map_err(|_| help())?;
    let bytes = number * f64::from(shift).exp2();
    if !(0.0..=f64::from(62).exp2()).contains(&bytes) {
        return Err(help());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2^62")]
    let whole = bytes as u64;
    Ok(whole)
}

/// A length of time: `30s`, `1h30m`, `14d`; days stand alone.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    const DAY_S: u64 = 24 * 3_600;
    let text = text.trim();
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok());
    let time = match days {
        Some(days) => days.checked_mul(DAY_S).map(Duration::from_secs),
        None => text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok()),
    };
    time.ok_or_else(|| "give a time with its unit, such as 30s, 5m, 4h or 14d".to_owned())
}

/// As [`time`] reads it, in one unit.
pub(crate) fn time_text(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(24 * 3_600, "d"), (3_600, "h"), (60, "m")];
    let whole = units.into_iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    whole.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_with_its_units() {
        for (text, expected) in [
            ("64GB", Ok(64 << 30)),
            ("512mb", Ok(512 << 20)),
            ("1.5 GiB", Ok(3 << 29)),
            ("2T", Ok(2 << 40)),
            ("64", Err(())),
            ("GB", Err(())),
            ("-1GB", Err(())),
            ("0GB", Err(())),
            ("1e300TB", Err(())),
            ("64 parsecs", Err(())),
            ("infGB", Err(())),
        ] {
            assert_eq!(bytes(text).map_err(|_| ()), expected, "{text}");
        }
    }

    #[test]
    fn times_with_their_units() {
        for (text, expected) in [
            ("30s", Some(30)),
            ("1h30m", Some(5_400)),
            ("14d", Some(14 * 24 * 3_600)),
            (" 0s ", Some(0)),
            ("14", None),
            ("-1h", None),
            ("d", None),
            ("999999999999999999d", None),
            ("", None),
        ] {
            assert_eq!(time(text).ok(), expected.map(Duration::from_secs), "{text}");
        }
        for text in ["45s", "90m", "1h", "3660d"] {
            assert_eq!(time_text(time(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_may_be_nothing() {
        for (text, expected) in [
            ("10MB", Some(10 << 20)),
            ("1.5 gib", Some(3 << 29)),
            ("0", Some(0)),
            ("4096", Some(4_096)),
            ("-1MB", None),
            ("MB", None),
            ("1e99TB", None),
            ("10 parsecs", None),
            ("NaNMB", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }
}
