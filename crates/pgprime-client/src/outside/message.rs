//! What a notification may mean. Whoever may connect to the database may send one, so it is not believed.

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

/// What the payload says; none when it is not the name of a table that is known.
pub(super) fn read(payload: &str, results: &Results) -> Option<Changed> {
    if payload.is_empty() || payload.len() > BYTES_MAX || payload.contains(['\0', ';', '\n']) {
        return None;
    }
    // The catalogs know the name if and only if a read of it is one of this very table.
    let mut tables = results.footprint(&format!("SELECT FROM {payload}")).reads.clone();
    if !tables.contains(payload) {
        return None;
    }
    // A read has what lies below, a write what lies above, as a partitioned table above its partitions.
    match &results.footprint(&format!("INSERT INTO {payload} DEFAULT VALUES")).writes {
        Writes::Nothing => {}
        Writes::Tables(above) => tables.extend(above.iter().cloned()),
        Writes::Anything { .. } => return Some(Changed::Anything),
    }
    Some(Changed::Tables(tables))
}
