//! Many writers and readers on one "database", whose every value is compared with what had been committed before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use pgprime_cache::{Cache, Filled, Policy, Reach, Request};

use crate::support::{key, tables};

const TABLES: [&str; 3] = ["quotes", "policies", "claims"];
/// Which tables each of the queries reads.
const QUERIES: [&[usize]; 5] = [&[0], &[1], &[2], &[0, 1], &[0, 1, 2]];

/// What counts as committed of each table, for readers of one instance.
type Floors = [AtomicU64; 3];

pub(crate) struct World {
    caches: Vec<Cache>,
    database: Floors,
    /// Of commits of which every instance has been told.
    everywhere: Floors,
    /// Of each instance's own commits.
    here: Vec<Floors>,
    policy: Policy,
    stop: AtomicBool,
}

#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) writers: u64,
    pub(crate) readers: u64,
    pub(crate) writes_each: usize,
}

impl World {
    pub(crate) fn new(caches: Vec<Cache>, policy: Policy) -> Arc<World> {
        let here = caches.iter().map(|_| Floors::default()).collect();
        Arc::new(World {
            caches,
            database: Floors::default(),
            everywhere: Floors::default(),
            here,
            policy,
            stop: AtomicBool::new(false),
        })
    }

    /// Runs writers until they are done, and readers beside them; panics when a reader gets something older than what had
    /// been committed before it asked.
    pub(crate) async fn run(self: &Arc<World>, load: Load, seed: u64) {
        println!("seed {seed}");
        let readers: Vec<_> = (0..load.readers)
            .map(|number| tokio::spawn(self.clone().read_on(Rng::with_seed(seed ^ (number << 32)))))
            .collect();
        let writers: Vec<_> = (0..load.writers)
            .map(|number| {
                let random = Rng::with_seed(seed ^ (number << 48) ^ 1);
                tokio::spawn(self.clone().write_on(random, load.writes_each))
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        self.stop.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.await.unwrap();
        }
    }

    /// Ends the run before its writers are done.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    async fn write_on(self: Arc<World>, mut random: Rng, writes: usize) {
        for _ in 0..writes {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            self.write(&mut random).await;
            pause(&mut random, 3).await;
        }
    }

    async fn write(&self, random: &mut Rng) {
        let instance = random.usize(..self.caches.len());
        let cache = &self.caches[instance];
        let changed = QUERIES[random.usize(..QUERIES.len())];
        let names: Vec<&str> = changed.iter().map(|&table| TABLES[table]).collect();
        let tables = tables(&names);
        let commit = || -> Vec<(usize, u64)> {
            changed
                .iter()
                .map(|&table| (table, self.database[table].fetch_add(1, Ordering::SeqCst) + 1))
                .collect()
        };
        let begin = || async {
            match changed.len() == TABLES.len() {
                true => cache.begin_write_anything().await,
                false => cache.begin_write(&tables).await,
            }
        };
        let (committed, reach) = match random.u32(..10) {
            0 => {
                let intent = begin().await;
                pause(random, 2).await;
                intent.rolled_back().await;
                return;
            }
            // A change seen elsewhere.
            1 => (commit(), cache.invalidate(&tables).await),
            // A writer that loses its connection, or its patience.
            2 => {
                let intent = begin().await;
                let committed = commit();
                let ending = intent.committed();
                let _ = tokio::time::timeout(Duration::from_micros(random.u64(..200)), ending).await;
                (committed, Reach::Here)
            }
            3 => {
                let intent = begin().await;
                let committed = commit();
                drop(intent);
                (committed, Reach::Here)
            }
            _ => {
                let intent = begin().await;
                pause(random, 2).await;
                let committed = commit();
                pause(random, 2).await;
                (committed, intent.committed().await)
            }
        };
        let floors = if reach == Reach::Everywhere { &self.everywhere } else { &self.here[instance] };
        for (table, version) in committed {
            floors[table].fetch_max(version, Ordering::SeqCst);
        }
    }

    async fn read_on(self: Arc<World>, mut random: Rng) {
        while !self.stop.load(Ordering::SeqCst) {
            self.read(&mut random).await;
            pause(&mut random, 1).await;
        }
    }

    async fn read(&self, random: &mut Rng) {
        let instance = random.usize(..self.caches.len());
        let query = random.usize(..QUERIES.len());
        let read = QUERIES[query];
        let names: Vec<&str> = read.iter().map(|&table| TABLES[table]).collect();
        let tables = tables(&names);
        let floor = |table: usize| {
            let load = |floors: &Floors| floors[table].load(Ordering::SeqCst);
            load(&self.everywhere).max(load(&self.here[instance]))
        };
        let floors: Vec<u64> = read.iter().map(|&table| floor(table)).collect();
        let request =
            Request { key: key(&query.to_string()), tables: &tables, label: "stress", policy: self.policy };
        let mut of_fill = random.fork();
        let (database, stored) = (&self.database, read);
        let fill = || async move {
            pause(&mut of_fill, 2).await;
            let snapshot = stored.iter().map(|&table| database[table].load(Ordering::SeqCst));
            let bytes: Vec<u8> = snapshot.flat_map(u64::to_be_bytes).collect();
            // The longer a fill takes after its snapshot, the more can change meanwhile.
            pause(&mut of_fill, 3).await;
            Ok::<_, ()>(Filled::new(bytes))
        };
        let reading = self.caches[instance].get_or_fill(&request, fill);
        // Some readers go away half way.
        let served = match random.u32(..20) {
            0 => match tokio::time::timeout(Duration::from_micros(random.u64(..300)), reading).await {
                Ok(served) => served,
                Err(_) => return,
            },
            _ => reading.await,
        };
        let served = served.unwrap();
        for (index, bytes) in served.bytes.chunks_exact(8).enumerate() {
            let version = u64::from_be_bytes(bytes.try_into().unwrap());
            let (table, committed) = (TABLES[read[index]], floors[index]);
            assert!(version >= committed, "{table} of {version} after {committed} was committed: {served:?}");
        }
    }
}

/// Lets others go first, for a random while.
async fn pause(random: &mut Rng, most: u32) {
    match random.u32(..=most) {
        0 => {}
        1 => tokio::task::yield_now().await,
        _ => tokio::time::sleep(Duration::from_micros(random.u64(..1500))).await,
    }
}
