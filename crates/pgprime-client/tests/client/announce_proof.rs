//! After a commit through the library has returned, nobody is served what is older: many writers and readers of two
//! instances at once, whatever becomes of them, of Redis and of PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use pgprime_client::{Database, DatabaseConfig, Error, Transaction};
use pgprime_cluster::StopMode;
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use crate::support::{Place, Redis, at_rest, connect, disturbed_place, is_up, place, run, until};

const KEYS: usize = 4;
const WRITERS: u64 = 4;
const READERS: u64 = 16;

/// Each domain has tables in which a write shows, and a number for each key that every write raises by one.
const SCHEMA: &str = "
    CREATE TABLE plain (id int PRIMARY KEY, v bigint NOT NULL);
    CREATE TABLE copies (id int PRIMARY KEY, v bigint NOT NULL);
    INSERT INTO plain SELECT id, 0 FROM generate_series(0, 3) id;
    INSERT INTO copies SELECT id, 0 FROM generate_series(0, 3) id;
    CREATE FUNCTION copy_it() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN UPDATE copies SET v = NEW.v WHERE id = NEW.id; RETURN NULL; END $$;
    CREATE TRIGGER copy_it AFTER UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION copy_it();
    CREATE VIEW joined AS SELECT p.id, least(p.v, c.v) AS v FROM plain p JOIN copies c USING (id);
    CREATE FUNCTION raise(key int) RETURNS bigint LANGUAGE sql AS
        'UPDATE plain SET v = v + 1 WHERE id = key RETURNING v';
    CREATE TABLE parents (id int PRIMARY KEY, v bigint NOT NULL UNIQUE);
    CREATE TABLE children (id int PRIMARY KEY, pv bigint NOT NULL REFERENCES parents (v) ON UPDATE CASCADE);
    INSERT INTO parents SELECT id, id * 1000000000::bigint FROM generate_series(0, 3) id;
    INSERT INTO children SELECT id, v FROM parents;
    CREATE TABLE parts (id int, v bigint NOT NULL) PARTITION BY LIST (id);
    CREATE TABLE parts_0 PARTITION OF parts FOR VALUES IN (0);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
    CREATE TABLE parts_3 PARTITION OF parts FOR VALUES IN (3);
    INSERT INTO parts SELECT id, 0 FROM generate_series(0, 3) id;";

/// A leaf stands for `KEY`'s.
const WRITES: [&[&str]; 3] = [
    &["UPDATE plain SET v = v + 1 WHERE id = KEY"],
    &["UPDATE parents SET v = v + 1 WHERE id = KEY"],
    &["UPDATE parts SET v = v + 1 WHERE id = KEY", "UPDATE parts_KEY SET v = v + 1 WHERE id = KEY"],
];
const READS: [&[&str]; 3] = [
    &[
        "SELECT v FROM plain WHERE id = $1",
        "SELECT v FROM copies WHERE id = $1",
        "SELECT v FROM joined WHERE id = $1",
        "SELECT max(v) FROM plain WHERE id = $1",
    ],
    &[
        "SELECT v % 1000000000 FROM parents WHERE id = $1",
        "SELECT pv % 1000000000 FROM children WHERE id = $1",
    ],
    &["SELECT v FROM parts WHERE id = $1", "SELECT v FROM parts_KEY WHERE id = $1"],
];

type Floors = [[AtomicI64; KEYS]; 3];

/// Whose commits a reader must see.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sees {
    Everybodys,
    /// Those of its own instance, since Redis may be away.
    ItsOwn,
}

struct World {
    databases: Vec<Database>,
    sees: Sees,
    /// Commits that have returned.
    floors: Vec<Floors>,
    commits: AtomicU64,
    reads: AtomicU64,
    /// Whoever holds it alone knows that nobody writes.
    writing: RwLock<()>,
    stop: AtomicBool,
}

/// What a write came to.
enum Outcome {
    /// It raised the number so often.
    Committed(i64),
    Nothing,
}

impl World {
    fn new(databases: Vec<Database>, sees: Sees) -> Arc<Self> {
        let floors = databases.iter().map(|_| Floors::default()).collect();
        Arc::new(Self {
            databases,
            sees,
            floors,
            commits: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            writing: RwLock::new(()),
            stop: AtomicBool::new(false),
        })
    }

    fn start(self: &Arc<Self>, seed: u64, writes_each: u64) -> (Vec<JoinHandle<()>>, Vec<JoinHandle<()>>) {
        println!("seed {seed}");
        let random = |number: u64| fastrand::Rng::with_seed(seed ^ (number << 32));
        let writers = (0..WRITERS)
            .map(|number| tokio::spawn(Arc::clone(self).write_on(random(number), writes_each)))
            .collect();
        let readers = (0..READERS)
            .map(|number| tokio::spawn(Arc::clone(self).read_on(random(number + WRITERS))))
            .collect();
        (writers, readers)
    }

    async fn end(&self, writers: Vec<JoinHandle<()>>, readers: Vec<JoinHandle<()>>) {
        for writer in writers {
            writer.await.unwrap();
        }
        self.stop.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.await.unwrap();
        }
        for database in &self.databases {
            at_rest(database).await;
        }
    }

    async fn write_on(self: Arc<Self>, mut random: fastrand::Rng, writes: u64) {
        let mut done = 0;
        while done < writes {
            let _writing = self.writing.read().await;
            let instance = random.usize(..self.databases.len());
            let (domain, key) = (random.usize(..3), random.usize(..KEYS));
            let write = self.write(instance, domain, key, random.fork());
            let outcome = match random.u32(..6) {
                // Given up at any moment.
                0 => match tokio::time::timeout(Duration::from_micros(random.u64(..3_000)), write).await {
                    Ok(outcome) => outcome,
                    Err(_) => Ok(Outcome::Nothing),
                },
                _ => write.await,
            };
            match outcome {
                Ok(Outcome::Committed(times)) => {
                    self.floors[instance][domain][key].fetch_add(times, Ordering::SeqCst);
                    self.commits.fetch_add(1, Ordering::SeqCst);
                    done += 1;
                }
                Ok(Outcome::Nothing) => {}
                Err(error) => {
                    assert!(error.is_connection_lost() || error.is_retryable(), "{error}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    async fn write(
        &self,
        instance: usize,
        domain: usize,
        key: usize,
        mut random: fastrand::Rng,
    ) -> Result<Outcome, Error> {
        let sql = WRITES[domain][random.usize(..WRITES[domain].len())].replace("KEY", &key.to_string());
        let sql = sql.as_str();
        let database = &self.databases[instance];
        let main = database.main();
        match random.u32(..10) {
            0 => {
                main.execute(sql, &[]).await?;
            }
            1 => {
                let work = |transaction: Transaction| async move {
                    transaction.execute(sql, &[]).await?;
                    transaction.execute(sql, &[]).await.map(drop)
                };
                main.transaction(work).await?;
                return Ok(Outcome::Committed(2));
            }
            2 => {
                let work = |transaction: Transaction| async move {
                    transaction.execute(sql, &[]).await?;
                    Err::<(), Error>(Error::Usage("undone".to_owned()))
                };
                return match main.transaction(work).await {
                    Err(Error::Usage(_)) => Ok(Outcome::Nothing),
                    Err(error) => Err(error),
                    Ok(()) => unreachable!(),
                };
            }
            3 => {
                let returning = format!("{sql} RETURNING v");
                let mut rows = main.query_stream(&returning, &[]).await?;
                while rows.next().await?.is_some() {}
            }
            4 => main.acquire().await?.batch_execute(&format!("BEGIN; {sql}; COMMIT")).await?,
            5 => {
                let connection = main.acquire().await?;
                connection.batch_execute("BEGIN").await?;
                connection.execute(sql, &[]).await?;
                connection.execute("COMMIT", &[]).await?;
            }
            6 => {
                main.batch(sql, &[vec![], vec![], vec![]]).await?;
                return Ok(Outcome::Committed(3));
            }
            7 => {
                main.acquire().await?.batch(sql, &[vec![], vec![]]).await?;
                return Ok(Outcome::Committed(2));
            }
            8 if domain == 0 => {
                database.admin().query("SELECT raise($1)", &[&i32::try_from(key).unwrap()]).await?;
            }
            _ => main.acquire().await?.batch_execute(sql).await?,
        }
        Ok(Outcome::Committed(1))
    }

    async fn read_on(self: Arc<Self>, mut random: fastrand::Rng) {
        while !self.stop.load(Ordering::SeqCst) {
            let instance = random.usize(..self.databases.len());
            let (domain, key) = (random.usize(..3), random.usize(..KEYS));
            let which = random.usize(..READS[domain].len());
            let floor = self.floor(instance, domain, key);
            let read = self.read(instance, domain, which, key);
            let value = match random.u32(..20) {
                0 => match tokio::time::timeout(Duration::from_micros(random.u64(..1_000)), read).await {
                    Ok(value) => value,
                    Err(_) => continue,
                },
                _ => read.await,
            };
            match value {
                Ok(value) => assert!(
                    value >= floor,
                    "{} of {key} at instance {instance}: {value}, although {floor} had been committed",
                    READS[domain][which]
                ),
                Err(error) => {
                    assert!(error.is_connection_lost() || error.is_retryable(), "{error}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            self.reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    async fn read(&self, instance: usize, domain: usize, which: usize, key: usize) -> Result<i64, Error> {
        let sql = READS[domain][which].replace("KEY", &key.to_string());
        let key = i32::try_from(key).unwrap();
        let parameters: [&(dyn pgprime_client::types::ToSql + Sync); 1] = [&key];
        let row = self.databases[instance].cached(&sql, &parameters).fetch_one().await?;
        row.try_get(0)
    }

    fn floor(&self, instance: usize, domain: usize, key: usize) -> i64 {
        let of = |floors: &Floors| floors[domain][key].load(Ordering::SeqCst);
        match self.sees {
            Sees::Everybodys => self.floors.iter().map(of).sum(),
            Sees::ItsOwn => of(&self.floors[instance]),
        }
    }

    /// When all is quiet, every cached result is that of the database.
    async fn compare(&self, place: &Place) {
        for instance in 0..self.databases.len() {
            for (domain, reads) in READS.iter().enumerate() {
                for (which, read) in reads.iter().enumerate() {
                    for key in 0..KEYS {
                        let text = key.to_string();
                        let truth = place.psql(&read.replace("KEY", &text).replace("$1", &text));
                        let value = self.read(instance, domain, which, key).await.unwrap();
                        assert_eq!(value.to_string(), truth, "{read} of {key} at instance {instance}");
                    }
                }
            }
        }
    }

    async fn commits_to(&self, count: u64) {
        until("more has been committed", || self.commits.load(Ordering::SeqCst) >= count).await;
    }

    fn hits(&self) -> u64 {
        self.databases.iter().map(|database| database.cache().unwrap().snapshot().total.hits()).sum()
    }
}

fn prepare(place: &Place) {
    place.psql(SCHEMA);
    // What has been committed survives a server that dies.
    place.psql(&format!("ALTER DATABASE {} SET synchronous_commit = on", place.name));
}

fn with_redis(place: &Place, redis: &Redis) -> DatabaseConfig {
    let mut config = place.config();
    // A writer that nobody hears of again ends soon.
    config.statement_timeout = Duration::from_secs(1);
    config.admin.statement_timeout = Duration::from_secs(1);
    DatabaseConfig { cache: Some(redis.config()), ..config }
}

#[test]
fn many_write_and_read_on_two_instances() {
    run(async {
        let (place, redis) = (place(), Redis::start());
        prepare(&place);
        let config = || with_redis(&place, &redis);
        let world = World::new(vec![connect(config()).await, connect(config()).await], Sees::Everybodys);
        let (writers, readers) = world.start(1, 120);
        world.end(writers, readers).await;
        world.compare(&place).await;
        let (reads, hits) = (world.reads.load(Ordering::Relaxed), world.hits());
        println!("{reads} reads, {hits} hits, {:?}", world.databases[0].report().writes.unwrap());
        assert!(hits > 100, "{hits} hits of {reads}");
    });
}

#[test]
fn many_write_and_read_while_redis_is_restarted() {
    run(async {
        let (place, mut redis) = (place(), Redis::start());
        prepare(&place);
        let config = || with_redis(&place, &redis);
        let databases = vec![connect(config()).await, connect(config()).await];
        let world = World::new(databases.clone(), Sees::ItsOwn);
        let (writers, readers) = world.start(2, 90);
        for commits in [60, 120, 180, 240] {
            world.commits_to(commits).await;
            redis.kill();
            world.commits_to(commits + 20).await;
            redis.run();
            until("both use Redis again", || databases.iter().all(is_up)).await;
        }
        world.end(writers, readers).await;
        until("both use Redis", || databases.iter().all(is_up)).await;
        world.compare(&place).await;
        assert!(databases.iter().any(|database| database.report().writes.unwrap().here_only_total > 0));
        assert!(world.hits() > 50, "{}", world.hits());
    });
}

#[test]
fn many_write_and_read_while_postgresql_is_restarted() {
    let (place, _turn) = disturbed_place();
    run(async {
        let redis = Redis::start();
        prepare(&place);
        let config = || with_redis(&place, &redis);
        let databases = vec![connect(config()).await, connect(config()).await];
        let world = World::new(databases.clone(), Sees::Everybodys);
        let (writers, readers) = world.start(3, 90);
        for commits in [60, 120] {
            world.commits_to(commits).await;
            let nobody_writes = world.writing.write().await;
            tokio::task::block_in_place(|| place.primary().restart(StopMode::Immediate).unwrap());
            drop(nobody_writes);
        }
        let hits = world.hits();
        world.commits_to(200).await;
        // In the middle of writes: nobody knows what became of them.
        tokio::task::block_in_place(|| place.primary().restart(StopMode::Immediate).unwrap());
        world.end(writers, readers).await;
        world.compare(&place).await;
        assert!(hits > 50, "{hits}");
    });
}
