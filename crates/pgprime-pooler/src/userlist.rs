//! The file of user names and secrets that the setting `auth_file` names.
//!
//! A line holds `"user" "secret"`; what follows on it is ignored, a quote inside a field is written twice, and a line
//! that begins with `;` is a comment. The kinds of secret are those of [`Secret`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use crate::settings::Secret;
use crate::settings::{quoted, read_text};

/// Why a user list could not be read. No message contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum UserlistError {
    /// The file could not be read.
    #[error("cannot read auth_file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A line is not of the form that the file asks for.
    #[error("{}:{line}: {reason}; expected: \"user\" \"secret\"", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Reads a user list from a file.
pub fn load(path: &Path) -> Result<BTreeMap<String, Secret>, UserlistError> {
    let text = read_text(path).map_err(|source| UserlistError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Reads a user list; `origin` names it in messages. Of several lines for one user the last holds.
pub fn parse(text: &str, origin: &Path) -> Result<BTreeMap<String, Secret>, UserlistError> {
    let mut users = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let (user, secret) = parse_line(line).map_err(|reason| UserlistError::Line {
            path: origin.to_owned(),
            line: index + 1,
            reason,
        })?;
        users.insert(user, Secret::from_text(&secret));
    }
    Ok(users)
}

fn parse_line(line: &str) -> Result<(String, String), &'static str> {
    if line.contains('\0') {
        return Err("the line contains a zero byte");
    }
    let (user, rest) = quoted(line, '"').ok_or("the user name is not in double quotes")?;
    if user.is_empty() {
        return Err("the user name is empty");
    }
    let (secret, _) = quoted(rest.trim_start(), '"').ok_or("the secret is not in double quotes")?;
    Ok((user, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Secret {
        Secret::Plain(text.to_owned())
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, Secret)]) {
        let users = parse(text, Path::new("users.txt")).unwrap();
        let expected: BTreeMap<String, Secret> =
            expected.iter().map(|(user, secret)| ((*user).to_owned(), secret.clone())).collect();
        assert_eq!(users, expected);
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = parse(text, Path::new("users.txt")).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn users_and_their_secrets() {
        let md5 = "md545f2603610af569b6155c45067268c6b";
        let scram = "SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5";
        check("", &[]);
        check("; \"a\" \"b\"\n\n \t\n", &[]);
        check("\"a\" \"b\"\n\"c\" \"\"", &[("a", plain("b")), ("c", plain(""))]);
        check("  \"a\"\t\"b\" \"ignored\" too\r\n", &[("a", plain("b"))]);
        check(r#""a ""x""" """;""""#, &[("a \"x\"", plain("\";\""))]);
        check("\"a\" \"1\"\n\"a\" \"2\"", &[("a", plain("2"))]);
        let both = format!("\"m\" \"{md5}\"\n\"s\" \"{scram}\"");
        check(&both, &[("m", Secret::Md5(md5.to_owned())), ("s", Secret::Scram(scram.to_owned()))]);
    }

    #[test]
    fn other_lines_are_refused_without_repeating_them() {
        let form = "expected: \"user\" \"secret\"";
        check_error("a hunter2", &format!("users.txt:1: the user name is not in double quotes; {form}"));
        check_error("\n\"a hunter2", &format!("users.txt:2: the user name is not in double quotes; {form}"));
        check_error("\"a\" hunter2", &format!("users.txt:1: the secret is not in double quotes; {form}"));
        check_error("\"a\" \"hunter2", &format!("users.txt:1: the secret is not in double quotes; {form}"));
        check_error(
            "\"a\" \"hunter2\"\"",
            &format!("users.txt:1: the secret is not in double quotes; {form}"),
        );
        check_error("\"a\"", &format!("users.txt:1: the secret is not in double quotes; {form}"));
        check_error("\"\" \"hunter2\"", &format!("users.txt:1: the user name is empty; {form}"));
        check_error("\"a\" \"hunter2\0\"", &format!("users.txt:1: the line contains a zero byte; {form}"));
    }

    #[test]
    fn a_file_is_read_and_a_missing_one_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.txt");
        let error = load(&path).unwrap_err().to_string();
        assert!(error.starts_with("cannot read auth_file ") && error.contains("No such file"), "{error}");
        std::fs::write(&path, "\"a\" \"b\"\n").unwrap();
        assert_eq!(load(&path).unwrap()["a"], plain("b"));
    }
}
