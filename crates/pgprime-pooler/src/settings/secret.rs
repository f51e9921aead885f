//! What proves an identity: a password or something derived from it.

use std::fmt;

/// A password as an administrator wrote it down, told apart by its form as PostgreSQL does. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself; it answers every authentication method. Empty: no password.
    Plain(String),
    /// `md5` and 32 lower-case hexadecimal digits, the MD5 of password and user name; answers MD5 only.
    Md5(String),
    /// A `SCRAM-SHA-256$…` verifier as PostgreSQL stores it. Whether it is well-formed is not checked here.
    Scram(String),
}

impl Secret {
    /// Tells the kind by the form of the text.
    pub fn from_text(text: &str) -> Secret {
        if is_md5(text) {
            Secret::Md5(text.to_owned())
        } else if text.starts_with("SCRAM-SHA-256$") {
            Secret::Scram(text.to_owned())
        } else {
            Secret::Plain(text.to_owned())
        }
    }

    /// The secret text itself. Never log it.
    pub fn expose(&self) -> &str {
        match self {
            Secret::Plain(text) | Secret::Md5(text) | Secret::Scram(text) => text,
        }
    }
}

fn is_md5(text: &str) -> bool {
    let digits = text.strip_prefix("md5").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Secret::Plain(_) => "Plain(hidden)",
            Secret::Md5(_) => "Md5(hidden)",
            Secret::Scram(_) => "Scram(hidden)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_tells_the_kind_and_debug_tells_nothing_more() {
        let check = |text: &str, expected: &str| {
            let secret = Secret::from_text(text);
            assert_eq!(format!("{secret:?}"), expected, "{text}");
            assert_eq!(secret.expose(), text);
        };
        check("", "Plain(hidden)");
        check("secret", "Plain(hidden)");
        check("md5", "Plain(hidden)");
        check("md545f2603610af569b6155c45067268c6b", "Md5(hidden)");
        check("md545F2603610AF569B6155C45067268C6B", "Plain(hidden)");
        check("md545f2603610af569b6155c45067268c6", "Plain(hidden)");
        check("md545f2603610af569b6155c45067268c6bb", "Plain(hidden)");
        check("md5ééééééééééééééééé", "Plain(hidden)");
        check("SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5", "Scram(hidden)");
        check("scram-sha-256$x", "Plain(hidden)");
    }
}
