//! Keyset pagination: the next page begins after the last row of this one, so that page 10,000 costs what page 1 does.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio_postgres::Row;

use crate::error::Error;

/// The longest cursor that is read: it comes from outside.
const CURSOR_BYTES_MAX: usize = 8_192;

/// In which order a key runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A query in pages, ordered by keys that together are unique and not null.
///
/// ```
/// use pgprime_client::{Direction, Keyset};
///
/// let policies = Keyset::new("SELECT id, status, created_at FROM policies WHERE customer_id = $1", 50)
///     .key("created_at", "timestamptz", Direction::Descending)
///     .key("id", "bigint", Direction::Descending);
/// assert!(policies.first_page_sql().ends_with("ORDER BY \"created_at\" DESC, \"id\" DESC LIMIT 51"));
/// ```
///
/// An index on the equality columns followed by the keys (`(customer_id, created_at, id)`) makes each page cost the
/// same. `database.read().page(…)` runs it.
#[derive(Clone, Debug)]
pub struct Keyset {
    sql: String,
    keys: Vec<Key>,
    rows_max: u32,
}

#[derive(Clone, Debug)]
struct Key {
    column: String,
    type_name: String,
    direction: Direction,
}

/// One page, and where the next one begins.
#[derive(Debug)]
pub struct Page {
    /// The rows: the query's columns, followed by one text column for each key.
    pub rows: Vec<Row>,
    /// To be given back for the next page; `None` at the end. Opaque, safe in a URL, and not secret: it holds the keys of
    /// the last row.
    pub next: Option<String>,
}

impl Keyset {
    /// Pages of at most `rows_max` rows of `sql`, a SELECT without ORDER BY and LIMIT.
    pub fn new(sql: &str, rows_max: u32) -> Self {
        Self { sql: sql.trim().trim_end_matches(';').to_owned(), keys: Vec::new(), rows_max: rows_max.max(1) }
    }

    /// Orders by a column of the result, after the keys named before. `type_name` is its SQL type, as in `timestamptz`.
    #[must_use]
    pub fn key(mut self, column: &str, type_name: &str, direction: Direction) -> Self {
        self.keys.push(Key { column: quoted(column), type_name: type_name.to_owned(), direction });
        self
    }

    /// Rows of a page at most.
    pub fn rows_max(&self) -> u32 {
        self.rows_max
    }

    /// The statement for the first page. It asks for one row more than a page has, which tells whether there is another.
    pub fn first_page_sql(&self) -> String {
        format!("{} ORDER BY {}{}", self.select(), self.order(), self.limit())
    }

    /// The statement for a page after a cursor: its keys are bound as text after the query's own `parameters`.
    pub fn next_page_sql(&self, parameters: usize) -> String {
        format!(
            "{} WHERE {} ORDER BY {}{}",
            self.select(),
            self.after(parameters),
            self.order(),
            self.limit()
        )
    }

    /// Whether keys are named and their types are plain names.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.keys.is_empty() {
            return Err(usage(
                "a keyset needs at least one key: .key(\"id\", \"bigint\", Direction::Ascending)",
            ));
        }
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || " _.\"(),[]".contains(c));
        match self.keys.iter().find(|key| !plain(&key.type_name) || key.type_name.is_empty()) {
            Some(key) => {
                Err(usage(&format!("{:?} is no name of a type for the key {}", key.type_name, key.column)))
            }
            None => Ok(()),
        }
    }

    /// The keys in a cursor.
    pub(crate) fn read_cursor(&self, cursor: &str) -> Result<Vec<String>, Error> {
        if cursor.len() > CURSOR_BYTES_MAX {
            return Err(Error::Cursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::Cursor)?;
        let keys: Vec<String> = serde_json::from_slice(&bytes).map_err(|_| Error::Cursor)?;
        if keys.len() == self.keys.len() { Ok(keys) } else { Err(Error::Cursor) }
    }

    /// Cuts the row that was asked for in excess, and makes the cursor from the last one that stays.
    pub(crate) fn page(&self, mut rows: Vec<Row>) -> Result<Page, Error> {
        let rows_max = self.rows_max as usize;
        if rows.len() <= rows_max {
            return Ok(Page { rows, next: None });
        }
        rows.truncate(rows_max);
        let next = rows.last().map(|row| self.write_cursor(row)).transpose()?;
        Ok(Page { rows, next })
    }

    fn write_cursor(&self, row: &Row) -> Result<String, Error> {
        let first = row.len().saturating_sub(self.keys.len());
        let keys: Vec<String> = (first..row.len())
            .map(|index| row.try_get(index))
            .collect::<Result<_, _>>()
            .map_err(|_| usage("a key of this page is null: order by columns that are NOT NULL"))?;
        let json = serde_json::to_vec(&keys).map_err(|error| usage(&error.to_string()))?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }

    fn select(&self) -> String {
        let mut text = "SELECT page.*".to_owned();
        for (index, key) in self.keys.iter().enumerate() {
            let _ = write!(text, ", page.{}::text AS pgprime_key_{}", key.column, index + 1);
        }
        let _ = write!(text, " FROM ({}) AS page", self.sql);
        text
    }

    fn order(&self) -> String {
        let words: Vec<String> = self.keys.iter().map(Key::order).collect();
        words.join(", ")
    }

    fn limit(&self) -> String {
        format!(" LIMIT {}", u64::from(self.rows_max) + 1)
    }

    /// One row comparison where all keys run the same way, which an index serves directly; else what it stands for, with
    /// the bound of the first key in front, so that an index is still entered there.
    fn after(&self, parameters: usize) -> String {
        let value =
            |index: usize| format!("${}::text::{}", parameters + index + 1, self.keys[index].type_name);
        let same = self.keys.iter().all(|key| key.direction == self.keys[0].direction);
        if same {
            let columns: Vec<&str> = self.keys.iter().map(|key| key.column.as_str()).collect();
            let values: Vec<String> = (0..self.keys.len()).map(value).collect();
            return format!("({}) {} ({})", columns.join(", "), self.keys[0].beyond(), values.join(", "));
        }
        let mut ways = Vec::new();
        for (index, key) in self.keys.iter().enumerate() {
            let mut way: Vec<String> = (0..index)
                .map(|before| format!("{} = {}", self.keys[before].column, value(before)))
                .collect();
            way.push(format!("{} {} {}", key.column, key.beyond(), value(index)));
            ways.push(format!("({})", way.join(" AND ")));
        }
        let first = &self.keys[0];
        format!("{} {}= {} AND ({})", first.column, first.beyond(), value(0), ways.join(" OR "))
    }
}

impl Key {
    fn order(&self) -> String {
        match self.direction {
            Direction::Ascending => self.column.clone(),
            Direction::Descending => format!("{} DESC", self.column),
        }
    }

    fn beyond(&self) -> char {
        match self.direction {
            Direction::Ascending => '>',
            Direction::Descending => '<',
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn usage(text: &str) -> Error {
    Error::Usage(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyset(directions: &[Direction]) -> Keyset {
        let keyset = Keyset::new("SELECT * FROM quotes WHERE status = $1;", 20);
        let columns = [("created_at", "timestamptz"), ("id", "bigint")];
        columns.iter().zip(directions).fold(keyset, |keyset, ((column, type_name), direction)| {
            keyset.key(column, type_name, *direction)
        })
    }

    #[test]
    fn keys_that_run_the_same_way_are_one_comparison() {
        let keyset = keyset(&[Direction::Descending, Direction::Descending]);
        let select = "SELECT page.*, page.\"created_at\"::text AS pgprime_key_1, page.\"id\"::text AS pgprime_key_2 \
                      FROM (SELECT * FROM quotes WHERE status = $1) AS page";
        let order = "ORDER BY \"created_at\" DESC, \"id\" DESC LIMIT 21";
        assert_eq!(keyset.first_page_sql(), format!("{select} {order}"));
        let after = "WHERE (\"created_at\", \"id\") < ($2::text::timestamptz, $3::text::bigint)";
        assert_eq!(keyset.next_page_sql(1), format!("{select} {after} {order}"));
    }

    #[test]
    fn keys_that_run_different_ways_are_spelt_out() {
        let sql = keyset(&[Direction::Ascending, Direction::Descending]).next_page_sql(0);
        let after = "WHERE \"created_at\" >= $1::text::timestamptz AND ((\"created_at\" > $1::text::timestamptz) OR \
                     (\"created_at\" = $1::text::timestamptz AND \"id\" < $2::text::bigint)) ORDER BY";
        assert!(sql.contains(after), "{sql}");
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let keyset = keyset(&[Direction::Ascending, Direction::Ascending]);
        assert!(keyset.check().is_ok());
        let good = URL_SAFE_NO_PAD.encode("[\"2026-01-01\",\"7\"]");
        assert_eq!(keyset.read_cursor(&good).expect("is whole"), ["2026-01-01", "7"]);
        for bad in ["", "!", "bm90IGpzb24", &URL_SAFE_NO_PAD.encode("[\"7\"]"), &"A".repeat(9_000)] {
            assert!(keyset.read_cursor(bad).is_err(), "{bad}");
        }
        assert!(Keyset::new("SELECT 1", 5).check().is_err());
        let injected = Keyset::new("SELECT 1", 5).key("a", "int; DROP TABLE x", Direction::Ascending);
        assert!(injected.check().is_err());
    }
}
