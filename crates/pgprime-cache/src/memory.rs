//! The tier in this process's memory, bounded by bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use tokio::time::Instant;

use crate::key::Key;
use crate::stamp::Stamp;
use crate::stats::{LabelStats, add};

/// What an entry weighs besides its bytes: key, stamps, times, the allocation of the bytes, its place in the table.
const OVERHEAD_BYTES: usize = 256;
/// For the sizes of tables at first; they grow with what is stored.
const ENTRY_BYTES_ESTIMATED: usize = 8192;
/// More shards mean less waiting for each other, fewer mean that one large entry takes less of its shard.
const SHARDS_MAX: usize = 16;
/// A shard is no smaller than this, so that small caches do not consist of shards too small for an entry.
const SHARD_BYTES_MIN: usize = 4 << 20;

/// A result in memory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) bytes: Bytes,
    /// Epochs of this process before the fill.
    pub(crate) local: Stamp,
    /// Epochs of Redis before the fill; none if Redis could not be asked.
    pub(crate) remote: Option<Stamp>,
    pub(crate) stored_at: Instant,
    pub(crate) age_at_store: Duration,
    pub(crate) fresh_for: Duration,
    pub(crate) stale_for: Duration,
    pub(crate) stats: Arc<LabelStats>,
}

/// How an entry stands to its time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    Stale,
    Expired,
}

impl Entry {
    /// Since its fill began.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        self.age_at_store.saturating_add(now.saturating_duration_since(self.stored_at))
    }

    pub(crate) fn freshness(&self, now: Instant) -> Freshness {
        let age = self.age(now);
        if age < self.fresh_for {
            Freshness::Fresh
        } else if age < self.fresh_for.saturating_add(self.stale_for) {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    fn weight(&self) -> usize {
        self.bytes.len() + OVERHEAD_BYTES
    }
}

pub(crate) struct Memory {
    entries: Cache<Key, Entry, ByBytes, DefaultHashBuilder, CountEvictions>,
}

impl Memory {
    /// `None` where no entry would fit.
    pub(crate) fn new(bytes_max: usize) -> Option<Memory> {
        let shards = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        let options = OptionsBuilder::new()
            .weight_capacity(bytes_max as u64)
            .estimated_items_capacity((bytes_max / ENTRY_BYTES_ESTIMATED).max(16))
            .shards(shards)
            .build()
            .ok()?;
        let entries = Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), CountEvictions);
        (bytes_max > OVERHEAD_BYTES).then_some(Memory { entries })
    }

    pub(crate) fn read(&self, key: &Key) -> Option<Entry> {
        self.entries.get(key)
    }

    /// Stores `entry`, unless it is larger than what a part of the memory holds.
    pub(crate) fn store(&self, key: Key, entry: Entry) {
        if entry.weight() as u64 <= self.entries.shard_capacity() {
            self.entries.insert(key, entry);
        } else {
            add(&entry.stats.too_large, 1);
        }
    }

    /// Removes what is known to be of no use any more, if it is still this one.
    pub(crate) fn remove(&self, key: &Key, local: Stamp) {
        self.entries.remove_if(key, |entry| entry.local == local);
    }

    pub(crate) fn clear(&self) {
        self.entries.clear();
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Entry> for ByBytes {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        entry.weight() as u64
    }
}

#[derive(Clone)]
struct CountEvictions;

impl Lifecycle<Key, Entry> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Key, entry: Entry) {
        add(&entry.stats.evictions, 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::key::KeyBuilder;

    fn entry(size: usize, stats: &Arc<LabelStats>) -> Entry {
        Entry {
            bytes: vec![0; size].into(),
            local: Stamp::from_bytes([0; 16]),
            remote: None,
            stored_at: Instant::now(),
            age_at_store: Duration::from_secs(1),
            fresh_for: Duration::from_secs(10),
            stale_for: Duration::from_secs(5),
            stats: stats.clone(),
        }
    }

    fn key(number: usize) -> Key {
        KeyBuilder::new().text(number.to_be_bytes()).build()
    }

    #[test]
    fn its_bytes_never_exceed_the_bound() {
        let stats = Arc::new(LabelStats::default());
        for bytes_max in [100_000, 10 << 20, 70 << 20] {
            let memory = Memory::new(bytes_max).unwrap();
            for number in 0..3000 {
                memory.store(key(number), entry(fastrand::usize(0..60_000), &stats));
                assert!(memory.bytes() <= bytes_max as u64);
            }
            assert!(memory.bytes() > bytes_max as u64 / 3, "{} of {bytes_max}", memory.bytes());
        }
        assert!(stats.evictions.load(Ordering::Relaxed) > 1000);
    }

    #[test]
    fn what_does_not_fit_is_not_stored() {
        let stats = Arc::new(LabelStats::default());
        assert!(Memory::new(0).is_none());
        let memory = Memory::new(10_000).unwrap();
        memory.store(key(1), entry(20_000, &stats));
        assert!(memory.read(&key(1)).is_none());
        assert_eq!(stats.too_large.load(Ordering::Relaxed), 1);
        memory.store(key(1), entry(5_000, &stats));
        assert!(memory.read(&key(1)).is_some());
    }

    #[test]
    fn an_entry_ages_from_its_fill() {
        let entry = entry(1, &Arc::default());
        let at = |seconds| entry.stored_at + Duration::from_secs(seconds);
        assert_eq!(entry.age(at(3)), Duration::from_secs(4));
        assert_eq!(entry.freshness(at(8)), Freshness::Fresh);
        assert_eq!(entry.freshness(at(9)), Freshness::Stale);
        assert_eq!(entry.freshness(at(13)), Freshness::Stale);
        assert_eq!(entry.freshness(at(14)), Freshness::Expired);
    }
}
