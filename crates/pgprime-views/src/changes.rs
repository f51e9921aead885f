//! What happened in the tables below a view, from the statistics that the server keeps anyway.
//!
//! The counts are taken before the refresh reads the tables: a change that it still sees is counted as one it lacks,
//! never the other way round.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::decide::Changes;
use crate::error::ViewsError;
use crate::session::{row, rows, value};

/// What the statistics said at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Microseconds since 1970 when the statistics of the database began anew.
    pub(crate) reset: i64,
    /// Whose counts they are: a standby that was promoted, or a copy of the database, has others.
    #[serde(default)]
    pub(crate) server: String,
    pub(crate) tables: BTreeMap<u32, Count>,
    /// What makes the view change, or read, what no count shows.
    pub(crate) unseen: Vec<String>,
}

/// One table's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Count {
    /// Rows inserted, updated and deleted, ever.
    pub(crate) rows: i64,
    /// The file that it is in: TRUNCATE and rewrites change it.
    pub(crate) file: u32,
}

/// What a view calls that the clock, chance or tables unknown decide.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calls {
    /// Functions of the clock, and volatile ones: the same tables give another result.
    pub(crate) varying: Vec<String>,
    /// Functions of users that may read tables.
    pub(crate) functions: Vec<String>,
}

/// Reads the statistics of everything below a view.
pub(crate) async fn snapshot(client: &Client, view: u32) -> Result<Snapshot, ViewsError> {
    let calls = calls(client, view).await?;
    let step = "read the statistics of the tables below";
    let found = rows(client, step, include_str!("../sql/base.sql"), &[(&view, Type::OID)]).await?;
    let mut unseen: Vec<String> = calls.varying.into_iter().chain(calls.functions).collect();
    let mut tables = BTreeMap::new();
    for table in &found {
        let kind: &str = value(table, "kind")?;
        if matches!(kind, "f" | "S") {
            unseen.push(value(table, "name")?);
            continue;
        }
        let count = Count { rows: value(table, "changes")?, file: value(table, "file")? };
        tables.insert(value(table, "oid")?, count);
    }
    if tables.is_empty() && unseen.is_empty() {
        unseen.push("no table that is counted".to_owned());
    }
    let mut snapshot = Snapshot { tables, unseen, ..Snapshot::default() };
    if let Some(counted) = row(client, step, include_str!("../sql/stats_reset.sql"), &[]).await? {
        snapshot.reset = value(&counted, "reset_micros")?;
        snapshot.server = value(&counted, "server")?;
        if value(&counted, "is_uncounted")? {
            snapshot.unseen.push("track_counts is off".to_owned());
        }
    }
    Ok(snapshot)
}

/// What a view calls whose answer no table shows.
pub(crate) async fn calls(client: &Client, view: u32) -> Result<Calls, ViewsError> {
    let step = "read what the view calls";
    let found = rows(client, step, include_str!("../sql/functions.sql"), &[(&view, Type::OID)]).await?;
    let mut calls = Calls::default();
    for call in &found {
        let name = format!("{}()", value::<&str>(call, "name")?);
        match value::<&str>(call, "kind")? {
            "function" => calls.functions.push(name),
            _ => calls.varying.push(name.replace("current_timestamp()", "current_timestamp")),
        }
    }
    Ok(calls)
}

/// Whether the counts of one moment have nothing to do with those of the other.
pub(crate) fn began_anew(before: &Snapshot, now: &Snapshot) -> bool {
    let is_moved = !before.server.is_empty() && before.server != now.server;
    is_moved || before.reset != now.reset
}

/// What happened between two moments.
pub(crate) fn between(before: &Snapshot, now: &Snapshot) -> Changes {
    if !now.unseen.is_empty() {
        return Changes::Unknown;
    }
    // Counts that began anew are all later than the refresh, but what was lost with them is not known.
    let is_reset = began_anew(before, now);
    let mut is_certain = !is_reset && before.tables.keys().eq(now.tables.keys());
    let mut changed: u64 = 0;
    for (table, count) in &now.tables {
        let earlier = before.tables.get(table).copied();
        let since = earlier.map_or(0, |earlier| earlier.rows);
        let went_down = count.rows < since;
        is_certain &= !went_down && earlier.is_none_or(|earlier| earlier.file == count.file);
        let more = if went_down || is_reset { count.rows } else { count.rows.saturating_sub(since) };
        changed = changed.saturating_add(u64::try_from(more).unwrap_or(0));
    }
    if is_certain { Changes::Rows(changed) } else { Changes::AtLeast(changed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(reset: i64, tables: &[(u32, i64, u32)]) -> Snapshot {
        let tables = tables.iter().map(|&(table, rows, file)| (table, Count { rows, file })).collect();
        Snapshot { reset, server: "7/1/5".to_owned(), tables, unseen: Vec::new() }
    }

    #[test]
    fn what_changed() {
        let before = snapshot(7, &[(1, 10, 100), (2, 5, 200)]);
        for (now, expected) in [
            (before.clone(), Changes::Rows(0)),
            (snapshot(7, &[(1, 13, 100), (2, 6, 200)]), Changes::Rows(4)),
            // Truncated or rewritten.
            (snapshot(7, &[(1, 10, 101), (2, 5, 200)]), Changes::AtLeast(0)),
            // Counts that went down, with and without a time of their reset.
            (snapshot(7, &[(1, 3, 100), (2, 5, 200)]), Changes::AtLeast(3)),
            (snapshot(8, &[(1, 10, 100), (2, 5, 200)]), Changes::AtLeast(15)),
            // A partition more, one less.
            (snapshot(7, &[(1, 10, 100), (2, 5, 200), (3, 2, 300)]), Changes::AtLeast(2)),
            (snapshot(7, &[(1, 10, 100)]), Changes::AtLeast(0)),
            // The same figures of another server.
            (Snapshot { server: "7/2/5".to_owned(), ..before.clone() }, Changes::AtLeast(15)),
            (Snapshot { unseen: vec!["now()".to_owned()], ..before.clone() }, Changes::Unknown),
        ] {
            assert_eq!(between(&before, &now), expected, "{now:?}");
        }
        // Written by a version that did not know its server.
        let older: Snapshot = serde_json::from_str(r#"{"reset":7,"tables":{},"unseen":[]}"#).unwrap();
        assert_eq!(between(&older, &snapshot(7, &[])), Changes::Rows(0));
    }
}
