//! The `key=value key='quoted value'` lists that describe a database or a user.

use super::error::{hint, shown};
use super::ini::quoted;
use super::nearest::nearest;
use super::value::{Expected, Support};

/// One key that an entry of type `T` may hold.
pub(super) struct Key<T: 'static> {
    /// Its name in the file.
    pub(super) name: &'static str,
    /// Reads the value and stores it.
    pub(super) set: fn(&mut T, &str) -> Result<(), Expected>,
    /// Whether the value has its effect.
    pub(super) support: Support,
}

impl<T> Key<T> {
    /// A key that is honoured.
    pub(super) const fn new(name: &'static str, set: fn(&mut T, &str) -> Result<(), Expected>) -> Key<T> {
        Key { name, set, support: Support::Full }
    }

    /// A key that is known and read, but honoured for these values only.
    pub(super) const fn only(
        name: &'static str,
        values: &'static [&'static str],
        set: fn(&mut T, &str) -> Result<(), Expected>,
    ) -> Key<T> {
        Key { name, set, support: Support::Only(values) }
    }
}

/// Reads a list into `entry`. Returns the keys that have no effect yet; an error says what is wrong, and repeats
/// nothing that stands behind a password, as that may be the rest of one that was not quoted.
pub(super) fn fill<T>(
    text: &str,
    keys: &'static [Key<T>],
    entry: &mut T,
) -> Result<Vec<&'static str>, String> {
    let mut without_effect = Vec::new();
    let mut password_passed = false;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let pair = next_pair(rest)?;
        let Some(key) = keys.iter().find(|key| key.name == pair.key) else {
            return Err(unknown_key(pair.key, keys, password_passed));
        };
        (key.set)(entry, &pair.value).map_err(|Expected(expected)| match password_passed {
            true => format!("{}: expected {expected}", key.name),
            false => format!("{}: expected {expected}, found {}", key.name, shown(&pair.value)),
        })?;
        without_effect.retain(|name| *name != key.name);
        if !key.support.covers(&pair.value) {
            without_effect.push(key.name);
        }
        password_passed |= key.name == "password";
        rest = pair.rest;
    }
    Ok(without_effect)
}

fn unknown_key<T>(key: &str, keys: &'static [Key<T>], password_passed: bool) -> String {
    let near = nearest(key, keys.iter().map(|key| key.name));
    if password_passed {
        let hint = hint(near);
        return format!(
            "after the password stands a key that does not exist{hint} (a password with blanks must be quoted: \
             password='…')"
        );
    }
    let known: Vec<&str> = keys.iter().map(|key| key.name).collect();
    match near {
        Some(_) => format!("there is no key {}{}", shown(key), hint(near)),
        None => format!("there is no key {}; known keys: {}", shown(key), known.join(", ")),
    }
}

#[derive(Debug, PartialEq)]
struct Pair<'a> {
    key: &'a str,
    value: String,
    rest: &'a str,
}

/// Splits off the first pair. Blanks may stand around the `=`.
fn next_pair(text: &str) -> Result<Pair<'_>, &'static str> {
    const FORM: &str =
        "expected key=value pairs with blanks between them; write a value with blanks as key='a value'";
    let (key, after) = text.split_once('=').ok_or(FORM)?;
    let key = key.trim_end();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(FORM);
    }
    let after = after.trim_start();
    let (value, rest) = if after.starts_with('\'') {
        let (value, rest) =
            quoted(after, '\'').ok_or("a closing quote is missing; '' stands for a quote in a value")?;
        if rest.starts_with(|c: char| !c.is_whitespace()) {
            return Err("after a value in quotes a blank must follow; '' stands for a quote in a value");
        }
        (value, rest)
    } else {
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let (value, rest) = after.split_at(end);
        if value.is_empty() {
            return Err("the last key has no value; leave the key out instead");
        }
        (value.to_owned(), rest)
    };
    Ok(Pair { key, value, rest: rest.trim_start() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::value::{Count, Kind, List};

    #[derive(Default)]
    struct Sample {
        seen: Vec<String>,
    }

    static KEYS: &[Key<Sample>] = &[
        Key::new("host", |sample, text| see(sample, "host", &List::parse(text)?.join("+"))),
        Key::new("port", |sample, text| see(sample, "port", &Count::parse(text)?.to_string())),
        Key::new("password", |sample, text| see(sample, "password", text)),
        Key::only("later", &["default"], |sample, text| see(sample, "later", text)),
    ];

    fn see(sample: &mut Sample, name: &str, text: &str) -> Result<(), Expected> {
        sample.seen.push(format!("{name}={text}"));
        Ok(())
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let mut sample = Sample::default();
        let found = fill(text, KEYS, &mut sample).map(|_| sample.seen);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found:?} lacks {expected:?}"),
            (found, expected) => panic!("{text:?} gave {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn lists_that_can_be_read() {
        check("", Ok(&[]));
        check("  host=h  ", Ok(&["host=h"]));
        check("host=a,b port = 5", Ok(&["host=a+b", "port=5"]));
        check("host=h\tport=\t5", Ok(&["host=h", "port=5"]));
        check("password='it''s = x' port=1", Ok(&["password=it's = x", "port=1"]));
        check("password=it's", Ok(&["password=it's"]));
        check("password=''", Ok(&["password="]));
        check("password=''''", Ok(&["password='"]));
        check("port=1 port=2", Ok(&["port=1", "port=2"]));
        check(r"host=\\a;#", Ok(&[r"host=\\a;#"]));
    }

    #[test]
    fn lists_that_cannot() {
        check("host", Err("expected key=value pairs"));
        check("=x", Err("expected key=value pairs"));
        check("host=a b port=1", Err("expected key=value pairs"));
        check("host=", Err("has no value"));
        check("host='a", Err("closing quote"));
        check("host='a''", Err("closing quote"));
        check("host='a'port=5", Err("a blank must follow"));
        check("HOST=a", Err("there is no key \"HOST\"; did you mean host?"));
        check("colour=red", Err("there is no key \"colour\"; known keys: host, port, password, later"));
        check("port=x", Err("port: expected a whole number from 0 to 2147483647, found \"x\""));
    }

    #[test]
    fn nothing_behind_a_password_is_repeated() {
        for text in [
            "password=top secret=word",
            "password=top port=secret",
            "password=top secret",
            "password='secret",
        ] {
            let error = fill(text, KEYS, &mut Sample::default()).unwrap_err();
            assert!(!error.contains("secret") && !error.contains("top"), "{error}");
        }
    }

    #[test]
    fn keys_without_effect_are_told() {
        let told = |text: &str| fill(text, KEYS, &mut Sample::default()).unwrap();
        assert_eq!(told("later=x host=h"), ["later"]);
        assert_eq!(told("later=x later=default"), [""; 0]);
    }
}
