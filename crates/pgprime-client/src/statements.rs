//! Statements: how callers name them, what they may do to a session, and caches of them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::error::Error;

/// A statement as callers give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementRef<'a> {
    /// SQL text; prepared at its first use on a connection.
    Text(&'a str),
    /// The name of a statement of the configuration; prepared as a connection opens.
    Named(&'a str),
}

/// The name of a statement of the configuration: `Named("get_quote_by_id")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a>(pub &'a str);

impl<'a> From<&'a str> for StatementRef<'a> {
    fn from(sql: &'a str) -> Self {
        Self::Text(sql)
    }
}

impl<'a> From<&'a String> for StatementRef<'a> {
    fn from(sql: &'a String) -> Self {
        Self::Text(sql)
    }
}

impl<'a> From<Named<'a>> for StatementRef<'a> {
    fn from(name: Named<'a>) -> Self {
        Self::Named(name.0)
    }
}

/// The statements of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configured {
    statements: Vec<(String, String)>,
    /// Where each name is in the list.
    positions: HashMap<String, usize>,
}

impl Configured {
    pub(crate) fn new(statements: Vec<(String, String)>) -> Self {
        let names = statements.iter().enumerate().map(|(position, (name, _))| (name.clone(), position));
        Self { positions: names.collect(), statements }
    }

    /// Name and text of each, in the order of the configuration.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.statements.iter().map(|(name, sql)| (name.as_str(), sql.as_str()))
    }

    /// The text that is meant.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that is not configured, with those that are.
    pub(crate) fn text<'a>(&'a self, statement: StatementRef<'a>) -> Result<&'a str, Error> {
        let name = match statement {
            StatementRef::Text(sql) => return Ok(sql),
            StatementRef::Named(name) => name,
        };
        let found = self.positions.get(name).and_then(|position| self.statements.get(*position));
        found.map(|(_, sql)| sql.as_str()).ok_or_else(|| self.unknown(name))
    }

    /// Whether this text is one of them.
    pub(crate) fn contains(&self, sql: &str) -> bool {
        self.iter().any(|(_, known)| known == sql)
    }

    fn unknown(&self, name: &str) -> Error {
        let mut text = format!("no statement `{name}` is configured; ");
        if self.statements.is_empty() {
            text.push_str("add it to the statements of the configuration, or give its SQL");
        } else {
            text.push_str("these are: ");
            let names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
            let _ = write!(text, "{}", names.join(", "));
        }
        Error::Usage(text)
    }
}

/// What a statement may do to the session it runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing that outlasts its transaction.
    Contained,
    /// Perhaps a transaction left open, a setting, a lock, a temporary table: the session must be cleaned after it.
    Session,
}

impl Effect {
    /// Judged by the first word, and by the names of functions that change a session. When in doubt, the session is cleaned
    /// once too often; a function of the user's own that hides such a call is taken for harmless.
    pub(crate) fn of(sql: &str) -> Self {
        const CONTAINED: &[&str] =
            &["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE", "SHOW", "EXPLAIN"];
        const SUSPICIOUS: &[&[u8]] = &[b"set_config", b"advisory_lock", b"into temp", b"dblink", b"setseed"];
        let start = without_leading_comments(sql);
        let word = start.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let is_known = CONTAINED.iter().any(|known| known.eq_ignore_ascii_case(word));
        let is_suspicious = || {
            SUSPICIOUS.iter().any(|needle| {
                start.as_bytes().windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
            })
        };
        if is_known && !is_suspicious() { Self::Contained } else { Self::Session }
    }
}

fn without_leading_comments(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = match (rest.strip_prefix("--"), rest.strip_prefix("/*"), rest.strip_prefix('(')) {
            (Some(comment), ..) => comment.split_once('\n').map(|(_, after)| after),
            (_, Some(comment), _) => comment.split_once("*/").map(|(_, after)| after),
            (.., after) => after,
        };
        match after {
            Some(after) => rest = after.trim_start(),
            None => return rest,
        }
    }
}

/// A bounded cache by text; the least recently used entry goes first, one that is pinned never.
#[derive(Debug)]
pub(crate) struct Lru<V> {
    entries: HashMap<Arc<str>, Entry<V>>,
    /// Entries at most, not counting those that are pinned.
    len_max: usize,
    pinned: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    used: u64,
    is_pinned: bool,
}

impl<V: Clone> Lru<V> {
    pub(crate) fn new(len_max: usize) -> Self {
        Self { entries: HashMap::new(), len_max: len_max.max(1), pinned: 0, clock: 0 }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<V> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        Some(entry.value.clone())
    }

    /// Whether the key is there; does not count as a use.
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Adds an entry that stays. What it takes the place of is returned.
    pub(crate) fn pin(&mut self, key: &str, value: V) -> Option<V> {
        self.put(key, value, true)
    }

    /// Adds an entry. What it takes the place of, or drives out, is returned.
    pub(crate) fn insert(&mut self, key: &str, value: V) -> Option<V> {
        let is_pinned = self.entries.get(key).is_some_and(|entry| entry.is_pinned);
        self.put(key, value, is_pinned)
    }

    fn put(&mut self, key: &str, value: V, is_pinned: bool) -> Option<V> {
        self.clock += 1;
        let former = self.remove(key);
        self.pinned += usize::from(is_pinned);
        self.entries.insert(Arc::from(key), Entry { value, used: self.clock, is_pinned });
        former.or_else(|| self.evict())
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.pinned -= usize::from(entry.is_pinned);
        Some(entry.value)
    }

    fn evict(&mut self) -> Option<V> {
        if self.entries.len() - self.pinned <= self.len_max {
            return None;
        }
        let loose = self.entries.iter().filter(|(_, entry)| !entry.is_pinned);
        let oldest = loose.min_by_key(|(_, entry)| entry.used).map(|(key, _)| Arc::clone(key))?;
        self.remove(&oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_list_the_known_ones() {
        let configured =
            Configured::new(vec![("a".into(), "SELECT 1".into()), ("b".into(), "SELECT 2".into())]);
        assert_eq!(configured.text(Named("b").into()).unwrap(), "SELECT 2");
        assert_eq!(configured.text("SELECT 3".into()).unwrap(), "SELECT 3");
        let error = configured.text(Named("c").into()).unwrap_err().to_string();
        assert_eq!(error, "no statement `c` is configured; these are: a, b");
        let error = Configured::default().text(Named("c").into()).unwrap_err().to_string();
        assert!(error.contains("add it to the statements"), "{error}");
    }

    #[test]
    fn effects() {
        for sql in [
            "SELECT 1",
            " -- why\n /* and */ (select 1)",
            "with x as (select 1) delete from t",
            "INSERT INTO t VALUES ('x')",
            "EXPLAIN SELECT 1",
        ] {
            assert_eq!(Effect::of(sql), Effect::Contained, "{sql}");
        }
        for sql in [
            "BEGIN",
            "SET work_mem = '1GB'",
            "",
            "-- only this",
            "SELECT Set_Config('a.b', 'c', false)",
            "SELECT pg_advisory_lock(1)",
            "SELECT 1 INTO TEMP t",
            "SELECTED",
            "LISTEN x",
        ] {
            assert_eq!(Effect::of(sql), Effect::Session, "{sql}");
        }
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_pinned_stay() {
        let mut cache = Lru::new(2);
        assert_eq!(cache.pin("pinned", 0), None);
        assert_eq!(cache.insert("a", 1), None);
        assert_eq!(cache.insert("b", 2), None);
        assert_eq!(cache.get("a"), Some(1));
        assert_eq!(cache.insert("c", 3), Some(2));
        assert_eq!(cache.get("b"), None);
        assert_eq!(cache.insert("c", 4), Some(3));
        assert_eq!(cache.insert("pinned", 5), Some(0));
        assert_eq!(cache.insert("d", 6), Some(1));
        assert_eq!(cache.remove("c"), Some(4));
        assert_eq!(cache.get("pinned"), Some(5));
        assert!(cache.contains("d") && !cache.contains("c"));
    }
}
