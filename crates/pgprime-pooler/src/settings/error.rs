//! What can be wrong with a configuration, and where.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Names and values are shown in messages up to this many characters.
const SHOWN_CHARS_MAX: usize = 60;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Counted from 1; 0 for an entry that is on no line.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.path.display()),
            line => write!(f, "{}:{line}", self.path.display()),
        }
    }
}

/// Why one setting could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No setting has this name.
    #[error("there is no setting {}{}", shown(name), hint(*nearest))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The setting that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The value is none that the setting can take.
    #[error("{name}: expected {expected}, found {}", shown(found))]
    Invalid {
        /// The setting.
        name: &'static str,
        /// What it takes.
        expected: Cow<'static, str>,
        /// What was given.
        found: String,
    },
}

/// Why a configuration could not be read. Every message says where and what is expected; none contains a password.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file named by `%include` could not be read.
    #[error("{at}: cannot include {}: {source}", path.display())]
    Include {
        /// The line with the directive.
        at: Location,
        /// The file it names.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The line is of no form that the file knows.
    #[error("{at}: {expected}")]
    Syntax {
        /// The line.
        at: Location,
        /// What is expected there.
        expected: Cow<'static, str>,
    },
    /// A setting in `[pgbouncer]` does not exist or does not take its value.
    #[error("{at}: {source}")]
    Setting {
        /// The line.
        at: Location,
        /// What is wrong with it.
        source: SettingError,
    },
    /// A database in `[databases]` or a user in `[users]` is described wrongly.
    #[error("{at}: {entry}: {reason}")]
    Entry {
        /// The line.
        at: Location,
        /// Which one, such as `database "app"`.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Text from a file as a message may show it: quoted, escaped and cut.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let cut = if short.len() < text.len() { "…" } else { "" };
    format!("{short:?}{cut}")
}

/// The second half of "there is no setting x".
pub(super) fn hint(nearest: Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_file_is_escaped_and_cut() {
        assert_eq!(shown("a\u{1b}[31m\n\"b"), r#""a\u{1b}[31m\n\"b""#);
        assert_eq!(shown(&"é".repeat(100)), format!("\"{}\"…", "é".repeat(60)));
    }
}
