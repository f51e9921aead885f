//! The statements that took the most time, in a table of bounded size.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::connection::StatementRef;
use crate::loggable::{normalized, without_values};

/// Statements that are told apart. The one with the least time makes room for another.
const STATEMENTS_MAX: usize = 100;

/// Statements of a report.
const SHOWN: usize = 10;

/// Bytes by which statements are told apart: more than people write, and a bound on what a generated one costs.
const KEY_BYTES_MAX: usize = 4_000;

/// What statements took, by their text without values.
#[derive(Debug, Default)]
pub(crate) struct Slowest {
    statements: Mutex<HashMap<String, Times>>,
}

/// A statement that took much time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowStatement {
    /// Its text with `?` for its values, cut at about 200 bytes; or its name in the configuration.
    pub statement: String,
    /// How often it was counted.
    pub count: u64,
    /// All of its time, in ms.
    pub total_ms: f64,
    /// Its time divided by its count, in ms.
    pub mean_ms: f64,
    /// The longest one, in ms.
    pub max_ms: f64,
    /// When one ended last, in ms since 1970 by this machine's clock.
    pub last_seen_unix_ms: u64,
}

#[derive(Clone, Debug)]
struct Times {
    shown: String,
    count: u64,
    total: Duration,
    max: Duration,
    last_seen: SystemTime,
}

impl Slowest {
    /// Counts a statement that took so long and ends now, however it ended.
    pub(crate) fn count(&self, statement: StatementRef<'_>, took: Duration, now: SystemTime) {
        let key = match statement {
            StatementRef::Named(name) => name.to_owned(),
            StatementRef::Text(sql) => normalized(sql, KEY_BYTES_MAX),
        };
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        if statements.len() >= STATEMENTS_MAX && !statements.contains_key(&key) {
            make_room(&mut statements);
        }
        match statements.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().add(took, now),
            Entry::Vacant(place) => {
                let shown = match statement {
                    StatementRef::Named(name) => name.to_owned(),
                    StatementRef::Text(sql) => without_values(sql),
                };
                place.insert(Times { shown, count: 1, total: took, max: took, last_seen: now });
            }
        }
    }

    /// Those with the most time in all, which is what they cost the database; equal ones by their longest.
    pub(crate) fn report(&self) -> Vec<SlowStatement> {
        let mut all: Vec<Times> = {
            let statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
            statements.values().cloned().collect()
        };
        all.sort_unstable_by(|one, other| {
            (other.total, other.max, &one.shown).cmp(&(one.total, one.max, &other.shown))
        });
        all.truncate(SHOWN);
        all.into_iter().map(Times::report).collect()
    }
}

fn make_room(statements: &mut HashMap<String, Times>) {
    let least = statements.iter().min_by_key(|(_, times)| (times.total, times.last_seen));
    if let Some(key) = least.map(|(key, _)| key.clone()) {
        statements.remove(&key);
    }
}

impl Times {
    fn add(&mut self, took: Duration, now: SystemTime) {
        self.count += 1;
        self.total = self.total.saturating_add(took);
        self.max = self.max.max(took);
        self.last_seen = now;
    }

    fn report(self) -> SlowStatement {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let since_1970 = self.last_seen.duration_since(UNIX_EPOCH).unwrap_or_default();
        SlowStatement {
            statement: self.shown,
            count: self.count,
            total_ms: ms(self.total),
            mean_ms: ms(self.total) / self.count as f64,
            max_ms: ms(self.max),
            last_seen_unix_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn values_do_not_tell_statements_apart() {
        let slowest = Slowest::default();
        slowest.count("SELECT 'a' FROM t WHERE n = 1".into(), Duration::from_millis(10), at(1));
        slowest.count("SELECT  'b' FROM t WHERE n = 22".into(), Duration::from_millis(30), at(2));
        slowest.count("SELECT 1".into(), Duration::from_millis(25), at(3));
        let found = slowest.report();
        let expected = SlowStatement {
            statement: "SELECT ? FROM t WHERE n = ?".to_owned(),
            count: 2,
            total_ms: 40.0,
            mean_ms: 20.0,
            max_ms: 30.0,
            last_seen_unix_ms: 2_000,
        };
        assert_eq!((found.len(), &found[0]), (2, &expected));
    }

    #[test]
    fn long_statements_are_told_apart_beyond_what_is_shown() {
        let slowest = Slowest::default();
        let start = format!("SELECT {}", "column_name, ".repeat(50));
        for end in ["FROM a", "FROM b"] {
            slowest.count(format!("{start}{end}").as_str().into(), Duration::from_millis(1), at(0));
        }
        let found = slowest.report();
        assert_eq!((found.len(), found[0].count), (2, 1));
        assert!(found[0].statement.ends_with('…') && found[0].statement.chars().count() < 220);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_took_long() {
        let slowest = Slowest::default();
        slowest.count("SELECT heavy".into(), Duration::from_secs(9), at(0));
        for number in 0..10_000 {
            let sql = format!("SELECT column_{number}");
            slowest.count(sql.as_str().into(), Duration::from_micros(number), at(number));
        }
        assert_eq!(slowest.statements.lock().unwrap().len(), STATEMENTS_MAX);
        let found = slowest.report();
        assert_eq!((found.len(), found[0].statement.as_str()), (SHOWN, "SELECT heavy"));
        assert!(found.windows(2).all(|pair| pair[0].total_ms >= pair[1].total_ms), "{found:?}");
    }
}
