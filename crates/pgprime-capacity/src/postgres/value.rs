//! The value of a setting: its type, how postgresql.conf writes it, and how pg_settings shows it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Memory units of PostgreSQL, largest first.
const MEMORY_UNITS: &[(&str, u64)] =
    &[("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)];

/// Time units of PostgreSQL in microseconds, largest first.
const TIME_UNITS: &[(&str, u64)] = &[
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// The value of a setting. Displayed as postgresql.conf writes it: `256MB`, `1.1`, `15min`, `'pg_stat_statements'`.
///
/// In JSON it is the number or word with its unit, and the text of postgresql.conf:
/// `{"value": 268435456, "unit": "bytes", "text": "256MB"}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "ValueJson")]
pub enum Value {
    /// Bytes.
    Memory(u64),
    /// A count.
    Integer(i64),
    /// A factor or a share.
    Float(f64),
    /// Free text, quoted.
    Text(String),
    /// One of the words that PostgreSQL knows for the setting.
    Choice(String),
    /// On or off.
    Bool(bool),
    /// A time, to the microsecond.
    Duration(Duration),
}

impl Value {
    pub(super) fn choice(word: &str) -> Self {
        Self::Choice(word.to_owned())
    }

    pub(super) fn seconds(seconds: u64) -> Self {
        Self::Duration(Duration::from_secs(seconds))
    }

    /// The value for people: as [`Display`](fmt::Display), but text without quotes.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// What pg_settings shows in `setting` and `unit`, as a value of the same type as this one. None when it is no
    /// such value, as is -1 for a size.
    pub(super) fn same_type(&self, setting: &str, unit: Option<&str>) -> Option<Self> {
        let setting = setting.trim();
        match self {
            Self::Memory(_) => scaled(setting, unit, MEMORY_UNITS).map(Self::Memory),
            Self::Duration(_) => {
                scaled(setting, unit, TIME_UNITS).map(|us| Self::Duration(Duration::from_micros(us)))
            }
            Self::Integer(_) => setting.parse().ok().map(Self::Integer),
            Self::Float(_) => setting.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Float),
            Self::Text(_) => Some(Self::Text(setting.to_owned())),
            Self::Choice(_) => Some(Self::choice(setting)),
            Self::Bool(_) => match setting {
                "on" | "true" | "yes" | "1" => Some(Self::Bool(true)),
                "off" | "false" | "no" | "0" => Some(Self::Bool(false)),
                _other => None,
            },
        }
    }

    /// The value as a number to compare by; None for text.
    pub(super) fn magnitude(&self) -> Option<f64> {
        match self {
            Self::Memory(bytes) => Some(*bytes as f64),
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Duration(time) => Some(time.as_secs_f64()),
            Self::Text(_) | Self::Choice(_) | Self::Bool(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => f.write_str(&in_largest_unit(*bytes, MEMORY_UNITS)),
            Self::Duration(time) => {
                let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                f.write_str(&in_largest_unit(us, TIME_UNITS))
            }
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
            Self::Choice(word) => f.write_str(word),
            Self::Bool(true) => f.write_str("on"),
            Self::Bool(false) => f.write_str("off"),
        }
    }
}

/// The number in the largest unit in which it is whole. Terabytes are left to the reader of pg_settings: gigabytes
/// read as well.
fn in_largest_unit(number: u64, units: &[(&str, u64)]) -> String {
    let fits = |&&(name, size): &&(&str, u64)| name != "TB" && number.is_multiple_of(size);
    match units.iter().find(fits) {
        Some((name, size)) if number > 0 => format!("{}{name}", number / size),
        _zero => "0".to_owned(),
    }
}

/// A number with a unit, in the smallest of `units`. The unit may carry a factor, as the `8kB` of pg_settings, or stand
/// in the text of the number, as SHOW writes it.
fn scaled(setting: &str, unit: Option<&str>, units: &[(&str, u64)]) -> Option<u64> {
    let (number, own_unit) = split_unit(setting);
    let unit = if own_unit.is_empty() { unit.unwrap_or_default() } else { own_unit };
    let (factor, name) = {
        let digits = unit.len() - unit.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        unit.split_at(digits)
    };
    let factor: u64 = if factor.is_empty() { 1 } else { factor.parse().ok()? };
    // Only zero means the same in every unit.
    let size = match units.iter().find(|(known, _)| *known == name) {
        Some((_, size)) => *size,
        None if number == "0" => 1,
        None => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor)?.checked_mul(size);
    }
    let fraction: f64 = number.parse().ok()?;
    let total = fraction * factor as f64 * size as f64;
    (total >= 0.0 && total < u64::MAX as f64).then_some(total as u64)
}

/// A value as somebody has written it, `64MB`, as pg_settings would show it in `unit`: `65536` in `kB`. What is no number of
/// that unit, as `-1`, stays as it is.
///
/// ```
/// use pgprime_capacity::postgres::in_unit;
///
/// assert_eq!(in_unit("64MB", "kB"), "65536");
/// assert_eq!(in_unit("1GB", "8kB"), "131072");
/// assert_eq!(in_unit("5min", "ms"), "300000");
/// assert_eq!(in_unit("-1", "kB"), "-1");
/// ```
#[must_use]
pub fn in_unit(written: &str, unit: &str) -> String {
    let written = written.trim();
    let of = |units| Some((scaled(written, Some(unit), units)?, scaled("1", Some(unit), units)?));
    match of(MEMORY_UNITS).or_else(|| of(TIME_UNITS)) {
        Some((value, one)) if one > 0 => ((value as f64 / one as f64).round() as u64).to_string(),
        _ => written.to_owned(),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.trim_end(), unit)
}

/// What JSON holds of a value.
#[derive(Serialize)]
struct ValueJson {
    value: Scalar,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    text: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Scalar {
    Unsigned(u64),
    Integer(i64),
    Float(f64),
    Text(String),
    Bool(bool),
}

impl From<Value> for ValueJson {
    fn from(value: Value) -> Self {
        let text = value.to_string();
        let (value, unit) = match value {
            Value::Memory(bytes) => (Scalar::Unsigned(bytes), Some("bytes")),
            Value::Duration(time) => (Scalar::Float(time.as_secs_f64() * 1e3), Some("ms")),
            Value::Integer(number) => (Scalar::Integer(number), None),
            Value::Float(number) => (Scalar::Float(number), None),
            Value::Text(text) | Value::Choice(text) => (Scalar::Text(text), None),
            Value::Bool(on) => (Scalar::Bool(on), None),
        };
        Self { value, unit, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_postgresql_conf_has_them() {
        for (value, expected) in [
            (Value::Memory(256 << 20), "256MB"),
            (Value::Memory(4 << 30), "4GB"),
            (Value::Memory(2 << 40), "2048GB"),
            (Value::Memory(1536 << 10), "1536kB"),
            (Value::Memory(1000), "1000B"),
            (Value::Memory(0), "0"),
            (Value::Integer(-1), "-1"),
            (Value::Float(1.1), "1.1"),
            (Value::Float(4.0), "4"),
            (Value::Float(0.0001), "0.0001"),
            (Value::Text("pg_stat_statements".into()), "'pg_stat_statements'"),
            (Value::Text(r"it's\".into()), r"'it''s\\'"),
            (Value::choice("try"), "try"),
            (Value::Bool(true), "on"),
            (Value::Bool(false), "off"),
            (Value::seconds(900), "15min"),
            (Value::seconds(90), "90s"),
            (Value::Duration(Duration::from_millis(2)), "2ms"),
            (Value::Duration(Duration::from_micros(500)), "500us"),
            (Value::Duration(Duration::ZERO), "0"),
        ] {
            assert_eq!(value.to_string(), expected);
        }
    }

    #[test]
    fn live_values_are_brought_to_one_unit() {
        let memory = Value::Memory(0);
        let time = Value::seconds(0);
        for (like, setting, unit, expected) in [
            (&memory, "16384", Some("8kB"), Some(Value::Memory(128 << 20))),
            (&memory, "4096", Some("kB"), Some(Value::Memory(4 << 20))),
            (&memory, "1024", Some("MB"), Some(Value::Memory(1 << 30))),
            (&memory, "128MB", None, Some(Value::Memory(128 << 20))),
            (&memory, "1.5 GB", None, Some(Value::Memory(1536 << 20))),
            (&memory, "0", None, Some(Value::Memory(0))),
            (&memory, "-1", Some("kB"), None),
            (&memory, "12", None, None),
            (&memory, "12", Some("furlongs"), None),
            (&memory, "18446744073709551615", Some("8kB"), None),
            (&memory, "", Some("8kB"), None),
            (&time, "300", Some("s"), Some(Value::seconds(300))),
            (&time, "2", Some("ms"), Some(Value::Duration(Duration::from_millis(2)))),
            (&time, "0.5", Some("ms"), Some(Value::Duration(Duration::from_micros(500)))),
            (&time, "1", Some("min"), Some(Value::seconds(60))),
            (&time, "-1", Some("ms"), None),
            (&Value::Float(0.0), "1.1", None, Some(Value::Float(1.1))),
            (&Value::Float(0.0), "NaN", None, None),
            (&Value::Integer(0), "-1", None, Some(Value::Integer(-1))),
            (&Value::Integer(0), "many", None, None),
            (&Value::Bool(true), "off", None, Some(Value::Bool(false))),
            (&Value::Bool(true), "maybe", None, None),
        ] {
            assert_eq!(like.same_type(setting, unit), expected, "{setting} {unit:?}");
        }
    }
}
