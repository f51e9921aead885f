//! How one value is written: text to value and back.
//!
//! A [`Kind`] is a way of writing, apart from the Rust type behind it: a count and a file mode are both `u32`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What a kind takes; completes the sentence "expected …". Never contains the text that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected(pub(super) Cow<'static, str>);

const fn expected(what: &'static str) -> Expected {
    Expected(Cow::Borrowed(what))
}

/// A way of writing values of one type.
pub(super) trait Kind {
    /// The type behind it.
    type Value;

    /// Reads a value as it stands in the file or in the console's `SET`.
    fn parse(text: &str) -> Result<Self::Value, Expected>;

    /// Writes it as `SHOW CONFIG` does; `None` is NULL.
    fn show(value: &Self::Value) -> Option<String>;
}

/// For which values a setting or key does what its documentation says.
pub(super) enum Support {
    /// For all.
    Full,
    /// For these, which are those that need nothing done. Others are accepted with a warning.
    Only(&'static [&'static str]),
}

impl Support {
    /// Whether this value is honoured.
    pub(super) fn covers(&self, value: &str) -> bool {
        match self {
            Support::Full => true,
            Support::Only(values) => values.iter().any(|known| known.eq_ignore_ascii_case(value)),
        }
    }
}

/// How long a client keeps its server connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PoolMode {
    /// Until the client disconnects.
    Session,
    /// Until its transaction ends.
    Transaction,
    /// Until its statement ends; transactions of several statements are refused.
    Statement,
}

impl PoolMode {
    const ALL: [PoolMode; 3] = [PoolMode::Session, PoolMode::Transaction, PoolMode::Statement];

    fn name(self) -> &'static str {
        match self {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
            PoolMode::Statement => "statement",
        }
    }
}

impl fmt::Display for PoolMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Kind for PoolMode {
    type Value = PoolMode;

    fn parse(text: &str) -> Result<PoolMode, Expected> {
        let found = PoolMode::ALL.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(text));
        found.ok_or(expected("session, transaction or statement"))
    }

    fn show(value: &PoolMode) -> Option<String> {
        Some(value.to_string())
    }
}

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuthType {
    /// Not at all, and the user name is ignored: every database must name the user to log in as.
    Any,
    /// Not at all, but the user must be known.
    Trust,
    /// By the password in clear text.
    Plain,
    /// By MD5 challenge; by SCRAM for a user whose secret is a SCRAM verifier.
    Md5,
    /// By SCRAM-SHA-256.
    ScramSha256,
}

impl AuthType {
    const ALL: [AuthType; 5] =
        [AuthType::Any, AuthType::Trust, AuthType::Plain, AuthType::Md5, AuthType::ScramSha256];

    fn name(self) -> &'static str {
        match self {
            AuthType::Any => "any",
            AuthType::Trust => "trust",
            AuthType::Plain => "plain",
            AuthType::Md5 => "md5",
            AuthType::ScramSha256 => "scram-sha-256",
        }
    }
}

impl fmt::Display for AuthType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Kind for AuthType {
    type Value = AuthType;

    fn parse(text: &str) -> Result<AuthType, Expected> {
        const KNOWN: &str = "any, trust, plain, md5 or scram-sha-256";
        if let Some(found) = AuthType::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text)) {
            return Ok(found);
        }
        let planned = ["cert", "hba", "ldap", "pam"].into_iter().find(|name| name.eq_ignore_ascii_case(text));
        Err(Expected(match planned {
            Some(name) => format!("{KNOWN} ({name} is not supported yet)").into(),
            None => KNOWN.into(),
        }))
    }

    fn show(value: &AuthType) -> Option<String> {
        Some(value.to_string())
    }
}

/// Off or on. Shown as 0 or 1.
pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn parse(text: &str) -> Result<bool, Expected> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "yes" | "y" | "true" | "t" | "on" => Ok(true),
            "0" | "no" | "n" | "false" | "f" | "off" => Ok(false),
            _ => Err(expected("1 or 0 (or yes/no, true/false, on/off)")),
        }
    }

    fn show(value: &bool) -> Option<String> {
        Some(u8::from(*value).to_string())
    }
}

/// A whole number from `MIN` to `MAX`. Sizes of messages and counts of connections end at 2³¹−1 in the protocol and
/// in PgBouncer alike.
pub(super) struct Whole<const MIN: u32, const MAX: u32>;
/// A count; 0 is allowed and often means "no limit".
pub(super) type Count = Whole<0, 2_147_483_647>;

impl<const MIN: u32, const MAX: u32> Kind for Whole<MIN, MAX> {
    type Value = u32;

    fn parse(text: &str) -> Result<u32, Expected> {
        let number = integer(text).and_then(|number| u32::try_from(number).ok());
        number
            .filter(|number| (MIN..=MAX).contains(number))
            .ok_or_else(|| Expected(format!("a whole number from {MIN} to {MAX}").into()))
    }

    fn show(value: &u32) -> Option<String> {
        Some(value.to_string())
    }
}

/// A number as C reads it: a leading 0 means octal, 0x hexadecimal.
fn integer(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, unsigned),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok().map(|number| if negative { -number } else { number })
}

/// A TCP port; 0 lets the system choose one where it is a port to listen on.
pub(super) struct Port<const MIN: u16>;

impl<const MIN: u16> Kind for Port<MIN> {
    type Value = u16;

    fn parse(text: &str) -> Result<u16, Expected> {
        let number = integer(text).and_then(|number| u16::try_from(number).ok());
        let number = number.filter(|number| *number >= MIN);
        number.ok_or_else(|| Expected(format!("a port number from {MIN} to {}", u16::MAX).into()))
    }

    fn show(value: &u16) -> Option<String> {
        Some(value.to_string())
    }
}

/// Permissions of a file, as chmod takes them.
pub(super) struct FileMode;

impl Kind for FileMode {
    type Value = u32;

    fn parse(text: &str) -> Result<u32, Expected> {
        let mode = Some(text).filter(|text| text.starts_with(|c: char| c.is_digit(8)));
        let mode = mode.and_then(|text| u32::from_str_radix(text, 8).ok());
        mode.filter(|mode| *mode <= 0o777).ok_or(expected("an octal file mode from 0 to 0777"))
    }

    fn show(value: &u32) -> Option<String> {
        Some(format!("{value:04o}"))
    }
}

/// A time in seconds, to the microsecond. The bound keeps sums with a clock's time from overflowing.
pub(super) struct Seconds;

const SECONDS_MAX: f64 = 100.0 * 365.0 * 24.0 * 3600.0;

impl Kind for Seconds {
    type Value = Duration;

    fn parse(text: &str) -> Result<Duration, Expected> {
        let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
        let seconds = seconds
            .ok_or(expected("a number of seconds without a unit, such as 5 or 0.5, and at most 100 years"))?;
        // Rounded up: a tiny time must not become 0, which turns most timeouts off.
        let micros = (seconds * 1e6).round().max(if seconds > 0.0 { 1.0 } else { 0.0 });
        Ok(Duration::from_micros(micros as u64))
    }

    fn show(value: &Duration) -> Option<String> {
        let shown = format!("{}.{:06}", value.as_secs(), value.subsec_micros());
        Some(shown.trim_end_matches('0').trim_end_matches('.').to_owned())
    }
}

/// A time in seconds after which something happens again and again; never 0.
pub(super) struct Period;

impl Kind for Period {
    type Value = Duration;

    fn parse(text: &str) -> Result<Duration, Expected> {
        let period = Seconds::parse(text).ok().filter(|period| *period >= Duration::from_secs(1));
        period.ok_or(expected("a number of seconds, at least 1"))
    }

    fn show(value: &Duration) -> Option<String> {
        Seconds::show(value)
    }
}

/// Any text.
pub(super) struct Text;

impl Kind for Text {
    type Value = String;

    fn parse(text: &str) -> Result<String, Expected> {
        Ok(text.to_owned())
    }

    fn show(value: &String) -> Option<String> {
        Some(value.clone())
    }
}

/// A text; an empty one is none.
pub(super) struct OptionalText;

impl Kind for OptionalText {
    type Value = Option<String>;

    fn parse(text: &str) -> Result<Option<String>, Expected> {
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    fn show(value: &Option<String>) -> Option<String> {
        value.clone()
    }
}

/// A file or folder; an empty name is none.
pub(super) struct OptionalPath;

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;

    fn parse(text: &str) -> Result<Option<PathBuf>, Expected> {
        Ok(Some(PathBuf::from(text)).filter(|_| !text.is_empty()))
    }

    fn show(value: &Option<PathBuf>) -> Option<String> {
        value.as_ref().map(|path| path.display().to_string())
    }
}

/// Texts between commas; blanks around them and empty ones do not count.
pub(super) struct List;

impl Kind for List {
    type Value = Vec<String>;

    fn parse(text: &str) -> Result<Vec<String>, Expected> {
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn show(value: &Vec<String>) -> Option<String> {
        Some(value.join(","))
    }
}

/// How much of TLS is demanded, in libpq's words.
pub(super) struct TlsMode;

impl Kind for TlsMode {
    type Value = String;

    fn parse(text: &str) -> Result<String, Expected> {
        let mode = text.to_ascii_lowercase();
        match mode.as_str() {
            "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full" => Ok(mode),
            _ => Err(expected("disable, allow, prefer, require, verify-ca or verify-full")),
        }
    }

    fn show(value: &String) -> Option<String> {
        Some(value.clone())
    }
}

/// A value of kind `K` that overrides a general one, or -1 for "not set".
pub(super) fn unless_unset<K: Kind>(text: &str) -> Result<Option<K::Value>, Expected> {
    if text == "-1" { Ok(None) } else { K::parse(text).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads and shows again; `None` stands for a refusal.
    #[track_caller]
    fn check<K: Kind>(text: &str, expected: Option<&str>) {
        let found = K::parse(text).ok().map(|value| K::show(&value).unwrap_or("NULL".to_owned()));
        assert_eq!(found.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn flags() {
        for text in ["1", "yes", "y", "true", "t", "on", "ON", "True"] {
            check::<Flag>(text, Some("1"));
        }
        for text in ["0", "no", "n", "false", "f", "off", "Off"] {
            check::<Flag>(text, Some("0"));
        }
        for text in ["", "2", "-1", "o", "enable", "1 "] {
            check::<Flag>(text, None);
        }
    }

    #[test]
    fn counts() {
        check::<Count>("0", Some("0"));
        check::<Count>("100", Some("100"));
        check::<Count>("+7", Some("7"));
        check::<Count>("010", Some("8"));
        check::<Count>("0x10", Some("16"));
        check::<Count>("2147483647", Some("2147483647"));
        for text in
            ["", "-", "+", "+-1", "-1", "2147483648", "99999999999999999999", "1.5", "5x", "09", "0x", "1 2"]
        {
            check::<Count>(text, None);
        }
        check::<Whole<1, 5>>("0", None);
        check::<Whole<1, 5>>("5", Some("5"));
        check::<Port<0>>("0", Some("0"));
        check::<Port<1>>("0", None);
        check::<Port<1>>("65536", None);
        check::<Port<1>>("5432,5433", None);
    }

    #[test]
    fn numbers_below_zero_are_read_before_they_are_refused() {
        assert_eq!(integer("-12"), Some(-12));
        assert_eq!(integer("--12"), None);
        assert_eq!(integer("-+12"), None);
        assert_eq!(unless_unset::<Count>("-1"), Ok(None));
        assert_eq!(unless_unset::<Count>("3"), Ok(Some(3)));
        assert!(unless_unset::<Count>("-2").is_err());
    }

    #[test]
    fn seconds() {
        check::<Seconds>("0", Some("0"));
        check::<Seconds>("60", Some("60"));
        check::<Seconds>("5.0", Some("5"));
        check::<Seconds>("5.50", Some("5.5"));
        check::<Seconds>(".25", Some("0.25"));
        check::<Seconds>("1e3", Some("1000"));
        check::<Seconds>("123.456789", Some("123.456789"));
        check::<Seconds>("0.0000001", Some("0.000001"));
        check::<Seconds>("3153600000", Some("3153600000"));
        for text in
            ["", "5s", "100ms", "2min", "-1", "-0.1", "nan", "inf", "1e400", "3153600001", "abc", " 7"]
        {
            check::<Seconds>(text, None);
        }
        check::<Period>("0", None);
        check::<Period>("0.5", None);
        check::<Period>("60", Some("60"));
    }

    #[test]
    fn file_modes() {
        check::<FileMode>("0777", Some("0777"));
        check::<FileMode>("700", Some("0700"));
        check::<FileMode>("0", Some("0000"));
        for text in ["", "+7", "8", "1000", "rwx"] {
            check::<FileMode>(text, None);
        }
    }

    #[test]
    fn names() {
        check::<PoolMode>("TRANSACTION", Some("transaction"));
        check::<PoolMode>("stmt", None);
        check::<AuthType>("scram-sha-256", Some("scram-sha-256"));
        check::<AuthType>("MD5", Some("md5"));
        check::<AuthType>("crypt", None);
        let Expected(message) = AuthType::parse("HBA").unwrap_err();
        assert_eq!(message, "any, trust, plain, md5 or scram-sha-256 (hba is not supported yet)");
        check::<TlsMode>("Verify-Full", Some("verify-full"));
        check::<TlsMode>("on", None);
        assert_eq!(format!("{:>9}|{:<8}|", PoolMode::Session, AuthType::Any), "  session|any     |");
    }

    #[test]
    fn texts_and_lists() {
        check::<Text>("", Some(""));
        check::<OptionalText>("", Some("NULL"));
        check::<OptionalPath>("", Some("NULL"));
        check::<OptionalPath>("/tmp", Some("/tmp"));
        check::<List>("", Some(""));
        check::<List>(" a, b ,,c,", Some("a,b,c"));
    }
}
