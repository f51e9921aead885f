//! How memory is divided.

use super::recommendation::{Accepted, Recommendation, Section};
use super::request::SettingsRequest;
use super::value::Value;

const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;
/// PostgreSQL counts `shared_buffers` in pages of 8 kB, 2^30 − 1 at most.
const SHARED_BUFFERS_BYTES_MAX: u64 = 4 << 40;
/// PostgreSQL's default, and enough for the sorts of a service's queries.
const WORK_MEM_BYTES_MIN: u64 = 4 * MB;
/// What sorts more than this is a report, and its role can have more.
const WORK_MEM_BYTES_MAX: u64 = 256 * MB;
/// Index builds gain little beyond this.
const MAINTENANCE_BYTES_MAX: u64 = 2 * GB;
/// Before version 17 vacuum uses no more than 1 GB; half of it holds some 89 million dead rows at 6 bytes each.
const AUTOVACUUM_BYTES_MAX: u64 = 512 * MB;
/// A typical plan of a service has one sort and one hash.
const SORT_NODES: u64 = 1;
const HASH_NODES: u64 = 1;
const HUGE_PAGE_BYTES: u64 = 2 * MB;
const PAGE_BYTES: u64 = 4 << 10;
const PAGE_TABLE_ENTRY_BYTES: u64 = 8;

/// The sizes, of which later ones depend on earlier ones.
struct Division {
    memory: u64,
    shared_buffers: u64,
    page_cache: u64,
    maintenance: u64,
    autovacuum_each: u64,
    autovacuum_workers: u64,
    /// Processes that run queries at a time at most, parallel workers included.
    processes: u64,
    /// What a hash may use, in `work_mem`; the default of `hash_mem_multiplier`.
    hash_factor: u64,
}

impl Division {
    fn of(request: &SettingsRequest) -> Self {
        let memory = request.machine.memory_bytes;
        Self {
            memory,
            shared_buffers: rounded(memory / 4).min(SHARED_BUFFERS_BYTES_MAX),
            page_cache: memory / 2,
            maintenance: rounded(memory / 16).min(MAINTENANCE_BYTES_MAX),
            autovacuum_each: rounded(memory / 128).clamp(8 * MB, AUTOVACUUM_BYTES_MAX),
            autovacuum_workers: request.autovacuum_workers().into(),
            processes: u64::from(request.max_connections) + u64::from(request.parallel_workers()),
            hash_factor: if request.version_major >= 15 { 2 } else { 1 },
        }
    }

    /// What is left for the queries' own memory.
    fn left(&self) -> u64 {
        let taken = self.shared_buffers
            + self.page_cache
            + self.maintenance
            + self.autovacuum_workers * self.autovacuum_each;
        self.memory.saturating_sub(taken)
    }

    /// How many times `work_mem` may be in use at a time.
    fn shares(&self) -> u64 {
        self.processes * (SORT_NODES + HASH_NODES * self.hash_factor)
    }

    fn work_mem(&self) -> u64 {
        rounded(self.left() / self.shares()).clamp(WORK_MEM_BYTES_MIN, WORK_MEM_BYTES_MAX)
    }
}

pub(super) fn settings(request: &SettingsRequest) -> Vec<Recommendation> {
    let division = Division::of(request);
    vec![
        shared_buffers(&division),
        huge_pages(&division, request),
        effective_cache_size(&division),
        work_mem(&division, request),
        maintenance_work_mem(&division),
        autovacuum_work_mem(&division),
    ]
}

fn memory(name: &'static str, bytes: u64, reason: String) -> Recommendation {
    let twofold = Accepted::memory(bytes / 2, bytes * 2);
    Recommendation::new(Section::Memory, name, Value::Memory(bytes), reason).accepting(twofold)
}

fn shared_buffers(division: &Division) -> Recommendation {
    let whole = division.memory;
    let reason = format!(
        "25 % of {}; the page cache of the operating system holds the same pages again, so more gains little and 20 \
         to 40 % is as good",
        figure(whole)
    );
    let accepted = Accepted::memory((whole / 5).min(division.shared_buffers), whole / 5 * 2);
    memory("shared_buffers", division.shared_buffers, reason).accepting(accepted)
}

/// Every process maps `shared_buffers` with page tables of its own: 8 bytes for each 4 kB.
fn huge_pages(division: &Division, request: &SettingsRequest) -> Recommendation {
    let tables = division.shared_buffers / PAGE_BYTES * PAGE_TABLE_ENTRY_BYTES;
    let connections = u64::from(request.max_connections);
    let reason = format!(
        "in pages of 4 KiB each connection has up to {} of page tables for {} of buffers, {} for {connections}; huge \
         pages need vm.nr_hugepages of about {}, and without it nothing changes",
        figure(tables),
        figure(division.shared_buffers),
        figure(tables * connections),
        division.shared_buffers.div_ceil(HUGE_PAGE_BYTES) * 11 / 10,
    );
    Recommendation::new(Section::Memory, "huge_pages", Value::choice("try"), reason)
        .accepting(Accepted::AnyOf(vec!["try", "on"]))
}

fn effective_cache_size(division: &Division) -> Recommendation {
    let whole = division.memory;
    let reason = format!(
        "75 % of {}: the buffers and the half of memory left to the page cache; it takes no memory, it tells the \
         planner that index pages are likely cached",
        figure(whole)
    );
    let bytes = rounded(whole / 4 * 3).min(4 * SHARED_BUFFERS_BYTES_MAX - GB);
    memory("effective_cache_size", bytes, reason)
        .accepting(Accepted::memory((whole / 2).min(bytes), whole / 10 * 9))
}

fn work_mem(division: &Division, request: &SettingsRequest) -> Recommendation {
    let bytes = division.work_mem();
    let share = division.left() / division.shares();
    let mut reason = format!(
        "{} − {} buffers − {} page cache − {} maintenance − {} × {} autovacuum leave {}; over {} connections and {} \
         parallel workers with a sort and a hash each ({} × work_mem) that is {} apiece",
        figure(division.memory),
        figure(division.shared_buffers),
        figure(division.page_cache),
        figure(division.maintenance),
        division.autovacuum_workers,
        figure(division.autovacuum_each),
        figure(division.left()),
        request.max_connections,
        request.parallel_workers(),
        SORT_NODES + HASH_NODES * division.hash_factor,
        figure(share),
    );
    let worst = division.shares() * WORK_MEM_BYTES_MIN;
    if share < WORK_MEM_BYTES_MIN {
        reason.push_str(&format!(
            ", raised to the least that is useful; if all sorted at a time it would be {}: fewer connections make \
             this safe",
            figure(worst)
        ));
    } else if share > WORK_MEM_BYTES_MAX {
        reason.push_str("; a report that sorts more than this gets it with ALTER ROLE … SET work_mem");
    }
    memory("work_mem", bytes, reason)
}

fn maintenance_work_mem(division: &Division) -> Recommendation {
    let reason = format!(
        "1/16 of {}, {} at most: index builds and manual VACUUM, one at a time",
        figure(division.memory),
        figure(MAINTENANCE_BYTES_MAX)
    );
    memory("maintenance_work_mem", division.maintenance, reason)
}

fn autovacuum_work_mem(division: &Division) -> Recommendation {
    let (bytes, workers) = (division.autovacuum_each, division.autovacuum_workers);
    let reason = format!(
        "1/128 of {}, {} at most; room for about {} million dead rows in one pass, {} for {workers} workers, where \
         the default of -1 would let each take maintenance_work_mem",
        figure(division.memory),
        figure(AUTOVACUUM_BYTES_MAX),
        bytes / 6 / 1_000_000,
        figure(bytes * workers),
    );
    memory("autovacuum_work_mem", bytes, reason)
}

/// Down to a number with few digits that differs by less than 1/32; whole megabytes.
fn rounded(bytes: u64) -> u64 {
    let step = match bytes.checked_ilog2() {
        Some(power) => (1_u64 << power) / 32,
        None => 0,
    };
    let step = step.max(MB);
    bytes / step * step
}

/// Bytes for people, as the dashboard writes them: `16.0 GiB`, `23.4 GiB`, `512 MiB`.
pub(super) fn figure(bytes: u64) -> String {
    let (size, unit) = match bytes {
        GB.. => (GB, "GiB"),
        MB.. => (MB, "MiB"),
        _less => (1 << 10, "KiB"),
    };
    let value = bytes as f64 / size as f64;
    let digits = usize::from(value < 100.0);
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_powers_of_two() {
        for (bytes, expected) in [
            (4 * GB, 4 * GB),
            (6_001 * MB, 5_888 * MB),
            (MB + 5, MB),
            (MB - 1, 0),
            (0, 0),
            (9 * MB + 3, 9 * MB),
            (100 * MB, 100 * MB),
        ] {
            assert_eq!(rounded(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn figures() {
        for (bytes, expected) in
            [(16 * GB, "16.0 GiB"), (25_178_812_416, "23.4 GiB"), (512 * MB, "512 MiB"), (1_536, "1.5 KiB")]
        {
            assert_eq!(figure(bytes), expected);
        }
    }
}
