//! What a notification may mean, and what a name means that the server itself has said. Whoever may connect to the database
//! may send a notification, so that one is not believed.

use std::collections::BTreeSet;

use pgprime_footprint::Writes;

use crate::results::Results;

/// Two names of 63 bytes, each of which may double when it is quoted, with quotes and a dot.
const BYTES_MAX: usize = 2 * (2 * 63 + 2) + 1;

/// What a notification is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// These tables: the one that was named, and those whose rows are its own.
    Tables(BTreeSet<String>),
    /// It cannot be told.
    Anything,
}

impl Changed {
    pub(super) fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Anything, _) => {}
            (_, Self::Anything) => *self = Self::Anything,
            (Self::Tables(tables), Self::Tables(more)) => tables.extend(more),
        }
    }
}

/// What the payload says; none when it is not the name of a table that is known.
pub(super) fn read(payload: &str, results: &Results) -> Option<Changed> {
    if payload.is_empty() || payload.len() > BYTES_MAX || payload.contains(['\0', ';', '\n']) {
        return None;
    }
    // The catalogs know the name if and only if a read of it is one of this very table.
    let below = below(payload, results);
    below.contains(payload).then(|| with_above(below, payload, results))
}

/// What a change of this table means. One that the catalogs do not have (yet) may be a partition of any other.
pub(super) fn of_table(schema: &str, name: &str, results: &Results) -> Changed {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let table = format!("{}.{}", quoted(schema), quoted(name));
    match below(&table, results) {
        below if below.is_empty() => Changed::Anything,
        below => with_above(below, &table, results),
    }
}

/// A read has what lies below, a write what lies above, as a partitioned table above its partitions.
fn below(table: &str, results: &Results) -> BTreeSet<String> {
    results.footprint(&format!("SELECT FROM {table}")).reads.clone()
}

fn with_above(mut tables: BTreeSet<String>, table: &str, results: &Results) -> Changed {
    match &results.footprint(&format!("INSERT INTO {table} DEFAULT VALUES")).writes {
        Writes::Nothing => {}
        Writes::Tables(above) => tables.extend(above.iter().cloned()),
        Writes::Anything { .. } => return Changed::Anything,
    }
    Changed::Tables(tables)
}
