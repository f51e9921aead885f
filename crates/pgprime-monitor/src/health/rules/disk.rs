//! Disk space and the size of the database.

use super::seen::Seen;
use crate::health::verdict::Verdict;
use crate::health::words;

const FREE: &str = "disk.free";
const SIZE: &str = "disk.database_bytes";

/// A disk of another machine is no finding, and said where everything is that cannot be seen.
pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    free(seen).into_iter().chain([size(seen)]).collect()
}

fn free(seen: &Seen<'_>) -> Option<Verdict> {
    let places = seen.now.disk.as_ref().ok()?;
    let fullest = places.first()?;
    let percent = fullest.free_percent();
    let text = format!(
        "{} of {} are free at {}, {}.",
        words::bytes(fullest.free_bytes as f64),
        words::bytes(fullest.total_bytes as f64),
        fullest.path,
        words::percent(percent)
    );
    let verdict = Verdict::value(FREE, percent, text)
        .details(places)
        .action("See what can be had back: pgprime bloat; WAL kept for slots; logs. Or make the disk larger.")
        .statement("pgprime bloat");
    Some(verdict)
}

fn size(seen: &Seen<'_>) -> Verdict {
    let sizes = match &seen.now.catalog.sizes {
        Ok(sizes) => sizes,
        Err(missing) => return Verdict::unknown(SIZE, missing),
    };
    let bytes = sizes.database_bytes as f64;
    let text = format!("{} is {} large.", seen.now.server.database, words::bytes(bytes));
    Verdict::value(SIZE, bytes, text)
        .action("See what is large and how it grows: pgprime bloat.")
        .statement("pgprime bloat")
}
