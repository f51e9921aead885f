//! What did not fit into memory.

use super::context::{Context, Found};
use crate::plan::finding::{Severity, Unit};
use crate::plan::format;
use crate::plan::kind::Kind;
use crate::plan::model::{Hash, Node, Sort, SpaceType};

/// More for one node of one session is no advice to give.
const WORK_MEM_KIB_MAX: f64 = 1_048_576.0;

pub(super) fn sort_on_disk(context: &Context<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (node, actual) in context.executed() {
        let workers = node.workers.iter().filter_map(|worker| worker.sort.as_ref());
        let spilled = node.sort.iter().chain(workers).filter(|sort| sort.space_type == SpaceType::Disk);
        let Some(sort) = spilled.max_by_key(|sort| sort.space_kib) else { continue };
        let (disk_kib, needed_kib) = (real(sort.space_kib), sort_memory_kib(node, sort, actual.rows));
        let text = format!("{} wrote {} to temporary files", sort.method, format::kibibytes(disk_kib));
        found.push(
            on_disk(context, node, node.figures.self_share, text, needed_kib)
                .number("disk", disk_kib, Unit::Kibibytes)
                .number("work_mem_needed", needed_kib, Unit::Kibibytes)
                .statement(work_mem(needed_kib)),
        );
    }
    found
}

/// In memory a row has a header and a place in the list besides its columns; on disk it has not.
fn sort_memory_kib(node: &Node, sort: &Sort, rows: f64) -> f64 {
    const ROW_OVERHEAD_BYTES: f64 = 24.0 + 16.0 + 8.0;
    const SLACK: f64 = 1.2;
    let width = node.estimate.map_or(0.0, |estimate| real(estimate.width_bytes));
    let by_rows = rows * (width + ROW_OVERHEAD_BYTES) / 1024.0;
    let by_disk = real(sort.space_kib) + rows * ROW_OVERHEAD_BYTES / 1024.0;
    by_rows.max(by_disk) * SLACK
}

pub(super) fn hash_on_disk(context: &Context<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (node, _) in context.executed() {
        let workers = node.workers.iter().filter_map(|worker| worker.hash);
        let spilled = node.hash.into_iter().chain(workers).filter(|hash| hash.batches > 1);
        let Some(hash) = spilled.max_by_key(|hash| hash.batches) else { continue };
        let (batches, needed_kib) = (real(hash.batches), hash_memory_kib(node, &hash));
        let join = context.parent(node).filter(|_| node.kind == Kind::Hash);
        let share = node.figures.self_share + join.map_or(0.0, |join| join.figures.self_share);
        let text = format!(
            "the hash table was split into {} parts with {} in memory",
            format::number(batches),
            format::kibibytes(real(hash.memory_kib))
        );
        let found_here = on_disk(context, node, share, text, needed_kib)
            .number("batches", batches, Unit::Count)
            .number("memory", real(hash.memory_kib), Unit::Kibibytes)
            .number("hash_memory_needed", needed_kib, Unit::Kibibytes);
        found.push(match hash.disk_kib {
            Some(disk) => {
                found_here.number("disk", real(disk), Unit::Kibibytes).statement(work_mem(needed_kib))
            }
            None => found_here.statement(work_mem(needed_kib)),
        });
    }
    found
}

fn hash_memory_kib(node: &Node, hash: &Hash) -> f64 {
    const SLACK: f64 = 1.2;
    /// An entry in a hash table is about twice as large as on disk.
    const IN_MEMORY_PER_DISK: f64 = 2.0;
    let needed = match (&node.kind, hash.disk_kib) {
        (Kind::Hash, _) => real(hash.memory_kib) * real(hash.batches),
        (_, Some(disk)) => real(hash.memory_kib) + real(disk) * IN_MEMORY_PER_DISK,
        (_, None) => real(hash.memory_kib) * real(hash.batches),
    };
    needed * SLACK
}

fn on_disk(context: &Context<'_>, node: &Node, share: f64, text: String, needed_kib: f64) -> Found {
    let advice = if needed_kib > WORK_MEM_KIB_MAX {
        "More memory than a session should have would be needed: read fewer rows or columns, or let \
            an index give the order."
    } else if node.kind == Kind::Sort || node.kind == Kind::IncrementalSort {
        "Give this statement (not the whole server) that much work_mem, or let an index give the order."
    } else {
        "Give this statement (not the whole server) that much memory for hashing: work_mem times \
            hash_mem_multiplier."
    };
    Found::at(context, node, text)
        .severity(Severity::of_share(share))
        .number("share", share, Unit::Share)
        .advise(advice)
}

/// In whole megabytes.
fn work_mem(needed_kib: f64) -> Option<String> {
    let megabytes = (needed_kib / 1024.0).ceil().max(1.0);
    (needed_kib <= WORK_MEM_KIB_MAX).then(|| format!("SET LOCAL work_mem = '{megabytes:.0}MB';"))
}

pub(super) fn temp_blocks(context: &Context<'_>) -> Vec<Found> {
    const BLOCKS_MIN: f64 = 16.0;
    let mut found = Vec::new();
    for (node, _) in context.executed() {
        // Sorts and hashes say it themselves.
        let has_rule = matches!(node.kind, Kind::Sort | Kind::IncrementalSort | Kind::Hash | Kind::HashJoin)
            || node.hash.is_some_and(|hash| hash.batches > 1);
        let Some(buffers) = node.figures.self_buffers.filter(|_| !has_rule) else { continue };
        if real(buffers.temp()) < BLOCKS_MIN {
            continue;
        }
        let (read, written) = (real(buffers.temp_read), real(buffers.temp_written));
        let text = format!(
            "wrote {} and read {} blocks of temporary files",
            format::number(written),
            format::number(read)
        );
        let needed_kib = read.max(written) * 8.0 * 2.0;
        found.push(
            Found::at(context, node, text)
                .severity(Severity::of_share(node.figures.self_share))
                .number("temp_read", read, Unit::Blocks)
                .number("temp_written", written, Unit::Blocks)
                .advise(
                    "Its rows did not fit into work_mem: keep fewer rows or columns, or give \
                    this statement more.",
                )
                .statement(work_mem(needed_kib)),
        );
    }
    found
}

pub(super) fn memoize(context: &Context<'_>) -> Vec<Found> {
    const MISSES_MIN: f64 = 1000.0;
    let mut found = Vec::new();
    for (node, _) in context.executed() {
        let Some(cache) = node.cache else { continue };
        let (hits, misses) = (real(cache.hits), real(cache.misses));
        let lost = real(cache.evictions.saturating_add(cache.overflows));
        if misses < MISSES_MIN || lost * 2.0 < misses {
            continue;
        }
        let text = format!(
            "{} results were dropped from the cache; {} of {} lookups missed it",
            format::number(lost),
            format::number(misses),
            format::number(hits + misses)
        );
        found.push(
            Found::at(context, node, text)
                .number("evictions", lost, Unit::Count)
                .number("hits", hits, Unit::Count)
                .number("misses", misses, Unit::Count)
                .advise(
                    "A larger work_mem (times hash_mem_multiplier) keeps the results. With few keys that repeat, a hash \
                     join is better: see the estimates of distinct values.",
                ),
        );
    }
    found
}

/// A count as a number to calculate with.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn real(count: u64) -> f64 {
    count as f64
}
