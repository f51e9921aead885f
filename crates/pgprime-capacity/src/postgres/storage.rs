//! What reading costs, and how writing is spread.

use super::memory::figure;
use super::recommendation::{Accepted, Recommendation, Section};
use super::request::{SettingsRequest, Storage};
use super::value::Value;

const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;
const CHECKPOINT_SECONDS: u64 = 15 * 60;
const COMPLETION_TARGET: f64 = 0.9;

pub(super) fn settings(request: &SettingsRequest) -> Vec<Recommendation> {
    let storage = request.machine.storage;
    let mut settings = vec![random_page_cost(storage)];
    settings.extend(io_concurrency(storage));
    if request.version_major >= 18 {
        settings.push(io_method());
        settings.push(io_workers(request.machine.cores));
    }
    settings
}

fn random_page_cost(storage: Storage) -> Recommendation {
    let (cost, accepted, reason) = match storage {
        Storage::Nvme | Storage::Ssd => (
            1.1,
            (1.0, 1.5),
            "on solid state a random read costs about as much as a sequential one (seq_page_cost 1); the default of 4 \
             makes the planner prefer sequential scans",
        ),
        Storage::Network => (
            1.5,
            (1.0, 2.5),
            "solid state behind a network: a random read waits for a round trip that read-ahead hides from a \
             sequential scan, far less than the default of 4 assumes",
        ),
        Storage::Hdd => (
            4.0,
            (3.0, 5.0),
            "a rotating disk seeks 5 to 10 ms for a random page, some 40 times a sequential one; 4 assumes that nine \
             of ten such pages are cached",
        ),
    };
    Recommendation::new(Section::Storage, "random_page_cost", Value::Float(cost), reason)
        .accepting(Accepted::floats(accepted.0, accepted.1))
}

fn io_concurrency(storage: Storage) -> [Recommendation; 2] {
    let (requests, accepted, what) = match storage {
        Storage::Nvme => (256, (64, 1_000), "NVMe serves hundreds of reads at a time"),
        Storage::Ssd => (200, (32, 1_000), "an SSD serves dozens of reads at a time (SATA queues 32)"),
        Storage::Network => (200, (32, 1_000), "reads in flight hide the round trip to networked storage"),
        Storage::Hdd => (2, (1, 16), "a rotating disk serves one read at a time, a pair of them two"),
    };
    let setting = |name, whose: &str| {
        Recommendation::new(
            Section::Storage,
            name,
            Value::Integer(requests.into()),
            format!("{what}; {whose} keep up to {requests} in flight"),
        )
        .accepting(Accepted::integers(accepted.0, accepted.1))
    };
    [
        setting("effective_io_concurrency", "bitmap scans of one query"),
        setting("maintenance_io_concurrency", "vacuum, analyze and recovery"),
    ]
}

fn io_method() -> Recommendation {
    let reason = "asynchronous reads by worker processes, in every build; io_uring is as good where the server was \
                  built with it and the container's profile allows it, sync reads one page at a time";
    Recommendation::new(Section::Storage, "io_method", Value::choice("worker"), reason)
        .accepting(Accepted::AnyOf(vec!["worker", "io_uring"]))
}

fn io_workers(cores: u32) -> Recommendation {
    let workers = (cores / 4).clamp(3, 32);
    let reason = format!(
        "a quarter of {cores} cores, 3 to 32: processes that read for all backends (io_method worker)"
    );
    Recommendation::new(Section::Storage, "io_workers", Value::Integer(workers.into()), reason)
        .accepting(Accepted::integers(workers.min(3), 32))
}

pub(super) fn write_ahead_log(request: &SettingsRequest) -> Vec<Recommendation> {
    let memory = request.machine.memory_bytes;
    let max_wal = (memory / 4 / GB).clamp(1, 16) * GB;
    vec![
        wal_buffers(memory),
        wal_compression(request.version_major),
        min_wal_size(max_wal),
        max_wal_size(max_wal),
        wal(
            "checkpoint_timeout",
            Value::seconds(CHECKPOINT_SECONDS),
            "after a checkpoint the first change to each page writes all 8 KiB of it to the log; a third as many \
             checkpoints as with the default of 5 min, for at most 15 min of log to replay after a crash",
        )
        .accepting(Accepted::seconds(10 * 60, 60 * 60)),
        wal(
            "checkpoint_completion_target",
            Value::Float(COMPLETION_TARGET),
            format!(
                "writes of a checkpoint are spread over 90 % of 15 min, {} s, instead of arriving in a burst \
                 (default 0.5 before version 14)",
                (CHECKPOINT_SECONDS as f64 * COMPLETION_TARGET).round()
            ),
        )
        .accepting(Accepted::floats(0.8, 1.0)),
    ]
}

fn wal(name: &'static str, value: Value, reason: impl Into<String>) -> Recommendation {
    Recommendation::new(Section::WriteAheadLog, name, value, reason)
}

fn wal_buffers(memory: u64) -> Recommendation {
    let bytes = (memory / 4 / 32 / MB).clamp(1, 16) * MB;
    let reason = "1/32 of shared_buffers, 16 MiB (one log segment) at most: many commits share one write";
    wal("wal_buffers", Value::Memory(bytes), reason).accepting(Accepted::memory(bytes / 2, 16 * bytes))
}

fn wal_compression(version_major: u32) -> Recommendation {
    let reason = "full pages are a large part of the log after each checkpoint; compressed they spare storage and \
                  replicas for a little CPU (lz4 or zstd are as good from version 15 on, where built in)";
    // The same algorithm; before version 15 it has no name.
    let method = if version_major >= 15 { "pglz" } else { "on" };
    wal("wal_compression", Value::choice(method), reason)
        .accepting(Accepted::AnyOf(vec!["on", "pglz", "lz4", "zstd"]))
}

fn min_wal_size(max_wal: u64) -> Recommendation {
    let bytes = max_wal / 4;
    let reason = format!(
        "a quarter of max_wal_size: {} log files of 16 MiB are reused instead of created in a burst of writes",
        bytes / (16 * MB)
    );
    wal("min_wal_size", Value::Memory(bytes), reason).accepting(Accepted::memory(bytes / 4, bytes * 4))
}

/// A checkpoint starts early when the log since the one before the last would pass the limit: the distance is
/// `max_wal_size / (1 + checkpoint_completion_target)`.
fn max_wal_size(bytes: u64) -> Recommendation {
    let distance = bytes as f64 / (1.0 + COMPLETION_TARGET);
    let rate_mb = distance / CHECKPOINT_SECONDS as f64 / MB as f64;
    let reason = format!(
        "a quarter of memory, 1 to 16 GiB; {} / (1 + {COMPLETION_TARGET}) per checkpoint_timeout: up to {rate_mb:.1} \
         MiB/s of log on average, checkpoints come by time; raise it if log_checkpoints shows \"wal\" as their cause",
        figure(bytes)
    );
    wal("max_wal_size", Value::Memory(bytes), reason).accepting(Accepted::memory(bytes / 2, bytes * 8))
}
