//! Whatever the schema is and whichever way a write takes: afterwards a cached read is what the database says.
//!
//! `PGPRIME_RANDOM_SECONDS` lets it go on for longer, `PGPRIME_RANDOM_SEED` repeats one round.

mod schema;
mod writes;

use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::future::join_all;
use pgprime_client::{CachedSource, Database, DatabaseConfig, Error, Role, Transaction};
use tokio_postgres::{Client, NoTls};

use crate::support::{Place, Redis, connect, place, run};
use schema::Schema;

const STEPS: usize = 20;
const ROUNDS: u64 = 2;
/// Long enough that nothing ends by itself.
const TTL: Duration = Duration::from_secs(3_600);

struct World {
    place: Place,
    databases: [Database; 2],
    schema: Schema,
    reads: Vec<String>,
    kept: u64,
    hits: u64,
    done: u64,
    failed: u64,
}

async fn session(place: &Place) -> Client {
    let url = place.primary().url(&place.name);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn config(place: &Place, redis: &Redis) -> DatabaseConfig {
    // Whatever a session was left with is met by the next who uses it.
    DatabaseConfig { cache: Some(redis.config()), pool_min: Some(1), pool_max: Some(2), ..place.config() }
}

/// Rows as one text, in an order of their own.
fn as_text(query: &str) -> String {
    format!("SELECT coalesce(string_agg(q::text, '|' ORDER BY q::text), '') FROM ({query}) q")
}

fn reads(schema: &Schema, random: &mut Rng) -> Vec<String> {
    let mut reads: Vec<String> = Vec::new();
    for relation in schema.relations() {
        reads.push(format!("SELECT * FROM {relation}"));
        let bare = relation.rsplit('.').next().unwrap_or_default();
        if !relation.starts_with("b.") {
            reads.push(format!("SELECT * FROM {bare}"));
        }
    }
    for reader in &schema.readers {
        reads.push(format!("SELECT {} AS v", reader.replace("$1", "2")));
    }
    for _ in 0..8 {
        let (one, other) = (schema.target(random).to_owned(), schema.target(random).to_owned());
        reads.push(match random.u32(0..5) {
            0 => format!("SELECT a.id, b.n FROM {one} a LEFT JOIN {other} b USING (id)"),
            1 => format!("SELECT count(*) FROM ONLY {one}"),
            2 => format!("SELECT id FROM {one} EXCEPT SELECT id FROM {other}"),
            3 => format!("WITH c AS (SELECT * FROM {one}) SELECT max(n) FROM c WHERE EXISTS (TABLE {other})"),
            _ => {
                format!("SELECT * FROM {one} a, LATERAL (SELECT sum(n) FROM {other} b WHERE b.id <= a.id) s")
            }
        });
    }
    reads.push("SELECT * FROM a.log".to_owned());
    reads.iter().map(|query| as_text(query)).collect()
}

impl World {
    async fn new(redis: &Redis, random: &mut Rng) -> Self {
        let place = place();
        let client = session(&place).await;
        let made = Schema::make(&client, &place.name, random).await;
        let databases = [connect(config(&place, redis)).await, connect(config(&place, redis)).await];
        let reads = reads(&made, random);
        Self { place, databases, schema: made, reads, kept: 0, hits: 0, done: 0, failed: 0 }
    }

    /// All reads, in one way or another, beside what a session of its own says.
    async fn compare(&mut self, random: &mut Rng, after: &str) {
        let fresh = session(&self.place).await;
        for sql in &self.reads {
            let expected = fresh.query_one(sql.as_str(), &[]).await.map(|row| row.get::<_, String>(0));
            for (number, database) in self.databases.iter().enumerate() {
                let found = read(database, sql, random.u32(0..8)).await;
                match (&expected, found) {
                    (Ok(expected), Ok((found, source))) => {
                        assert_eq!(*expected, found, "instance {number}, {source:?}: {sql}\nafter {after}");
                        self.kept += u64::from(source != CachedSource::NotKept);
                        self.hits += u64::from(matches!(source, CachedSource::Memory | CachedSource::Redis));
                    }
                    (Err(_), Err(_)) => {}
                    (expected, found) => panic!("{expected:?} and {found:?}: {sql}\nafter {after}"),
                }
            }
        }
    }

    async fn step(&mut self, random: &mut Rng) {
        let writer = &self.databases[random.usize(..2)];
        let after = if random.u32(0..8) == 0 {
            let sql = writes::definition(&self.schema, random);
            let outcome = match writer.main().acquire().await {
                Ok(connection) => connection.batch_execute(&sql).await,
                Err(error) => Err(error),
            };
            self.count(outcome.is_ok());
            self.both_know().await;
            sql
        } else {
            let outcomes = self.several(random).await;
            outcomes.iter().for_each(|(_, outcome)| self.count(outcome.is_ok()));
            let told = outcomes.iter().map(|(told, outcome)| format!("{told}: {outcome:?}"));
            told.collect::<Vec<_>>().join("\nand ")
        };
        self.compare(random, &after).await;
    }

    /// One write or some at once, on both instances, while others read.
    async fn several(&self, random: &mut Rng) -> Vec<(String, Result<(), Error>)> {
        let count = if random.u32(0..3) == 0 { 3 } else { 1 };
        let writing = (0..count).map(|_| {
            let (database, mut random) = (&self.databases[random.usize(..2)], random.fork());
            async move { writes::write(database, &self.schema, &mut random).await }
        });
        let writing = writing.collect::<Vec<_>>();
        let reading = (0..8).map(|_| {
            let (database, sql) =
                (&self.databases[random.usize(..2)], &self.reads[random.usize(..self.reads.len())]);
            read(database, sql, random.u32(0..8))
        });
        let reading = reading.collect::<Vec<_>>();
        tokio::join!(join_all(writing), join_all(reading)).0
    }

    fn count(&mut self, is_done: bool) {
        *(if is_done { &mut self.done } else { &mut self.failed }) += 1;
    }

    /// What others define is seen within a minute; what an instance defines itself at once.
    async fn both_know(&self) {
        for database in &self.databases {
            database.main().execute("ALTER TABLE a.log SET (fillfactor = 90)", &[]).await.unwrap();
        }
    }
}

async fn read(database: &Database, sql: &str, way: u32) -> Result<(String, CachedSource), Error> {
    let cached = || database.cached(sql, &[]).ttl(TTL);
    let rows = match way {
        0 => cached().on(Role::Admin).await?,
        1 => {
            let work = |transaction: Transaction| async move {
                transaction.query("SELECT 1", &[]).await?;
                cached().fetch_in(&transaction).await
            };
            database.main().transaction(work).await?
        }
        2 => cached().refresh_in_background().await?,
        _ => cached().await?,
    };
    Ok((rows.row(0).unwrap().get(0), rows.source()))
}

async fn round(seed: u64) {
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let redis = Redis::start();
    let mut world = World::new(&redis, &mut random).await;
    world.compare(&mut random, "the beginning").await;
    for _ in 0..STEPS {
        world.step(&mut random).await;
    }
    let World { kept, hits, done, failed, .. } = world;
    println!("{done} writes, {failed} refused; {kept} reads kept, {hits} of them hits");
    assert!(done > 3 && kept > 50 && hits > 0, "it tests nothing");
}

#[test]
fn a_cached_read_is_what_the_database_says() {
    let given = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = given("PGPRIME_RANDOM_SEED") {
        return run(round(seed));
    }
    let until = Instant::now() + Duration::from_secs(given("PGPRIME_RANDOM_SECONDS").unwrap_or(0));
    let first = fastrand::u64(..1 << 32);
    let mut number = 0;
    while number < ROUNDS || Instant::now() < until {
        run(round(first + number));
        number += 1;
    }
}
