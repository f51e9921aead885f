//! How indexes are used, and tables that are read without one.

use std::collections::HashMap;

use pgprime_advisor::index_review::is_leftover;
use serde_json::json;

use super::seen::{FIRST_LOOK, Seen, added};
use crate::health::observe::{IndexSeen, Section, TableSeen};
use crate::health::verdict::Verdict;
use crate::health::words;

const UNUSED: &str = "indexes.unused_bytes";
const INVALID: &str = "indexes.invalid";
const SCANS: &str = "indexes.seq_scans";

/// Statistics of less than a week miss what runs at its end.
const STATISTICS_S_MIN: f64 = 7.0 * 86_400.0;
/// A table of fewer rows is read as fast without an index.
const ROWS_MIN: u64 = 100_000;

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    // What a replica does not read, the primary may; what is built or dropped is, on the primary.
    if seen.now.server.in_recovery {
        return vec![scans(seen)];
    }
    vec![unused(seen), invalid(seen), scans(seen)]
}

fn unused(seen: &Seen<'_>) -> Verdict {
    let indexes = match &seen.now.catalog.indexes {
        Ok(indexes) => indexes,
        Err(missing) => return Verdict::unknown(UNUSED, missing),
    };
    let reset_s = seen.now.counters.as_ref().ok().and_then(|counters| counters.reset_s);
    // Never reset: they began with the database, or with the last crash, which nothing tells.
    let since_s = seen.now.server.at_s - reset_s.unwrap_or(seen.now.server.started_s);
    if since_s < STATISTICS_S_MIN {
        let text = format!(
            "None is called unused yet: statistics are {} old, and a week tells.",
            words::seconds(since_s)
        );
        return Verdict::well(UNUSED, text);
    }
    let text = match indexes.unused {
        0 => "Every index of 1 MiB or more is read, or enforces something.".to_owned(),
        count => format!(
            "{} of 1 MiB or more take {} and were not read for {}.",
            words::number(count as f64),
            words::bytes(indexes.unused_bytes as f64),
            words::seconds(since_s)
        ),
    };
    let listed: Vec<&IndexSeen> = indexes.list.iter().filter(|index| index.is_valid).collect();
    let statement =
        listed.first().map_or(String::new(), |index| format!("DROP INDEX CONCURRENTLY {};", index.name));
    Verdict::value(UNUSED, indexes.unused_bytes as f64, text)
        .details(listed)
        .action("Look at replicas first, which count for themselves; pgprime indexes reviews all.")
        .statement(statement)
}

fn invalid(seen: &Seen<'_>) -> Verdict {
    let indexes = match &seen.now.catalog.indexes {
        Ok(indexes) => indexes,
        Err(missing) => return Verdict::unknown(INVALID, missing),
    };
    let (built, left): (Vec<&IndexSeen>, Vec<&IndexSeen>) =
        indexes.list.iter().filter(|index| !index.is_valid).partition(|index| index.is_built);
    let text = match (left.first(), built.len()) {
        (None, 0) => "All indexes are valid.".to_owned(),
        (None, building) => format!("{building} being built, all others are valid."),
        (Some(first), _) => format!(
            "{} not valid, {} of {} first: no query uses it, and {}.",
            left.len(),
            first.name,
            first.table,
            if first.is_ready { "every write keeps it up" } else { "no write keeps it up" }
        ),
    };
    let (statement, action) = left.first().map(|index| repair(index)).unwrap_or_default();
    Verdict::value(INVALID, left.len() as f64, text).details(left).action(action).statement(statement)
}

/// What to run for an index that is not valid, and what to know of it.
fn repair(index: &IndexSeen) -> (String, String) {
    let name = &index.name;
    let anew = format!("REINDEX INDEX CONCURRENTLY {name};");
    if is_leftover(name) {
        let action =
            "A REINDEX that failed has left it; the index that it was to replace is still there: drop it.";
        return (format!("DROP INDEX CONCURRENTLY {name};"), action.to_owned());
    }
    match &index.duplicates {
        Some(find) => {
            let action = format!(
                "It is unique, so its build fails while rows are there twice: look for them and put them right, then {anew} \
                 Drop what a build that fails again leaves, whose name ends in _ccnew."
            );
            (find.clone(), action)
        }
        None => (
            anew,
            "Build it anew, or drop it. Drop what a build that fails leaves, whose name ends in _ccnew."
                .to_owned(),
        ),
    }
}

fn scans(seen: &Seen<'_>) -> Verdict {
    let catalog = &seen.now.catalog;
    let tables = match &catalog.tables {
        Ok(tables) => tables,
        Err(missing) => return Verdict::unknown(SCANS, missing),
    };
    let before = seen.now.catalog_before.as_deref().filter(|before| before.at_s < catalog.at_s);
    let Some((before, seconds)) = before.map(|before| (before, catalog.at_s - before.at_s)) else {
        return Verdict::well(SCANS, FIRST_LOOK);
    };
    let mut scanned = scanned_between(tables, &before.tables);
    scanned.sort_by(|one, other| other.1.total_cmp(&one.1));
    let rate = scanned.iter().map(|(_, rows, _)| rows).sum::<f64>() / seconds;
    let text = match scanned.first() {
        None => "No large table was read from its first row on.".to_owned(),
        Some((table, rows, _)) => {
            format!(
                "{} rows/s, of {} {} rows/s.",
                words::number(rate),
                table.name,
                words::number(rows / seconds)
            )
        }
    };
    let details = scanned.iter().map(|(table, rows, scans)| {
        json!({ "table": table.name, "rows_per_s": rows / seconds, "scans_per_s": scans / seconds, "rows": table.live })
    });
    Verdict::value(SCANS, rate, text)
        .details(details)
        .action("An index may help where few of the rows are kept: pgprime indexes tells which.")
        .statement("pgprime indexes")
}

/// Large tables with the rows and scans that were added.
fn scanned_between<'a>(
    now: &'a [TableSeen],
    before: &Section<Vec<TableSeen>>,
) -> Vec<(&'a TableSeen, f64, f64)> {
    let earlier: HashMap<u32, &TableSeen> = before.iter().flatten().map(|table| (table.oid, table)).collect();
    let large = now.iter().filter(|table| table.live >= ROWS_MIN);
    let between = large.filter_map(|table| {
        let was = earlier.get(&table.oid)?;
        Some((table, added(table.rows_scanned, was.rows_scanned)?, added(table.scans, was.scans)?))
    });
    between.filter(|(_, rows, _)| *rows > 0.0).collect()
}
