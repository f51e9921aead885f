//! What of the data was in memory.

use super::seen::{FIRST_LOOK, Seen, added, share};
use crate::health::verdict::Verdict;
use crate::health::words;

const BUFFERS: &str = "cache.buffers_hit";
const INDEXES: &str = "cache.indexes_hit";

/// Below this many blocks a share says little: 80 MB.
const BLOCKS_MIN: f64 = 10_000.0;

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    vec![buffers(seen), indexes(seen)]
}

fn buffers(seen: &Seen<'_>) -> Verdict {
    let now = match &seen.now.counters {
        Ok(now) => now,
        Err(missing) => return Verdict::unknown(BUFFERS, missing),
    };
    let before = seen.earlier.and_then(|earlier| earlier.counters.as_ref().ok());
    let before = before.filter(|before| before.reset_s == now.reset_s);
    let between = before.and_then(|before| {
        Some((added(now.blocks_hit, before.blocks_hit)?, added(now.blocks_read, before.blocks_read)?))
    });
    hit(BUFFERS, between, "blocks")
}

fn indexes(seen: &Seen<'_>) -> Verdict {
    let now = match &seen.now.catalog.index_blocks {
        Ok(now) => now,
        Err(missing) => return Verdict::unknown(INDEXES, missing),
    };
    let before = seen.now.catalog_before.as_ref().and_then(|before| before.index_blocks.as_ref().ok());
    let between =
        before.and_then(|before| Some((added(now.hit, before.hit)?, added(now.read, before.read)?)));
    hit(INDEXES, between, "blocks of indexes")
}

fn hit(id: &'static str, between: Option<(f64, f64)>, what: &str) -> Verdict {
    let Some((hit, read)) = between else { return Verdict::well(id, FIRST_LOOK) };
    let all = hit + read;
    if all < BLOCKS_MIN {
        let text =
            format!("{} {what} asked for since the last look, too few for a load.", words::number(all));
        return Verdict::well(id, text);
    }
    let percent = share(hit, all);
    let text = format!("{} of {} {what} since the last look.", words::percent(percent), words::number(all));
    Verdict::value(id, percent, text).action(
        "If it stays so, data in use do not fit shared_buffers: find what reads them (pgprime slow-queries --order read), \
         then give memory.",
    )
}
