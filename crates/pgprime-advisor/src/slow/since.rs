//! Moments as people write them.

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// What is no moment that a history could begin with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinceError {
    /// It cannot be read.
    #[error(
        "{0:?} is no moment: write a duration such as 15m, 24h or 7d, the word today or yesterday, or a time such as \
         2026-03-01 or 2026-03-01T09:30"
    )]
    Unreadable(String),
    /// It has not come yet.
    #[error("{0:?} lies in the future")]
    Future(String),
}

/// The moment that a text means: a duration before now (`30s`, `15m`, `24h`, `7d`, `2w`), `today` or `yesterday` (their
/// midnight, in the time zone of `now`), a date, a date with a time, or a time with its offset.
///
/// # Errors
/// [`SinceError`] for anything else, and for a moment that lies in the future.
pub fn since(text: &str, now: &Zoned) -> Result<Timestamp, SinceError> {
    let trimmed = text.trim();
    let moment = named(trimmed, now).or_else(|| before(trimmed, now)).or_else(|| written(trimmed, now));
    let moment = moment.ok_or_else(|| SinceError::Unreadable(text.to_owned()))?;
    if moment > now.timestamp() { Err(SinceError::Future(text.to_owned())) } else { Ok(moment) }
}

fn named(text: &str, now: &Zoned) -> Option<Timestamp> {
    let day = match text.to_ascii_lowercase().as_str() {
        "today" => now.clone(),
        "yesterday" => now.checked_sub(1.day()).ok()?,
        _ => return None,
    };
    Some(day.start_of_day().ok()?.timestamp())
}

/// A whole number and one letter for its unit.
fn before(text: &str, now: &Zoned) -> Option<Timestamp> {
    let unit = text.chars().next_back()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 24 * 3_600,
        'w' => 7 * 24 * 3_600,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: i64 = digits.parse().ok()?;
    let duration = SignedDuration::from_secs(count.checked_mul(seconds)?);
    now.timestamp().checked_sub(duration).ok()
}

fn written(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let zone = now.time_zone().clone();
    let local = match text.parse::<DateTime>() {
        Ok(local) => local,
        Err(_) => text.parse::<Date>().ok()?.at(0, 0, 0, 0),
    };
    Some(local.to_zoned(zone).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        // The clocks went forward on the 29th.
        let now: Zoned = "2026-03-29T12:00:00+02:00[+02:00]".parse().unwrap();
        let table = [
            ("15m", "2026-03-29T09:45:00Z"),
            (" 24h ", "2026-03-28T10:00:00Z"),
            ("7d", "2026-03-22T10:00:00Z"),
            ("2w", "2026-03-15T10:00:00Z"),
            ("30s", "2026-03-29T09:59:30Z"),
            ("0s", "2026-03-29T10:00:00Z"),
            ("today", "2026-03-28T22:00:00Z"),
            ("Yesterday", "2026-03-27T22:00:00Z"),
            ("2026-03-01", "2026-02-28T22:00:00Z"),
            ("2026-03-01 09:30", "2026-03-01T07:30:00Z"),
            ("2026-03-01T09:30", "2026-03-01T07:30:00Z"),
            ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
            ("2026-03-01T09:30:00-05:00", "2026-03-01T14:30:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(since(text, &now), Ok(expected.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment() {
        let now: Zoned = "2026-03-29T12:00:00+02:00[+02:00]".parse().unwrap();
        for text in [
            "",
            "m",
            "-1h",
            "1.5h",
            "99999999999999999999d",
            "999999999999d",
            "1y",
            "soon",
            "15",
            "2026-13-01",
            "½h",
        ] {
            assert_eq!(since(text, &now), Err(SinceError::Unreadable(text.to_owned())), "{text}");
        }
        for text in ["2027-01-01", "2026-03-29T12:00:01+02:00"] {
            assert_eq!(since(text, &now), Err(SinceError::Future(text.to_owned())), "{text}");
        }
    }
}
