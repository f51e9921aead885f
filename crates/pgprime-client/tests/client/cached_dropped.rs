//! Futures that are dropped at whatever point: nothing older is served afterwards, nobody waits for ever, and no connection is
//! handed on in the middle of an answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use pgprime_client::{Database, DatabaseConfig, Error, Isolation, Transaction, TransactionOptions, Writes};

use crate::support::{Place, Redis, at_rest, connect, place, run};

const ROUNDS: usize = 12;
const TASKS: usize = 24;
/// More polls than anything here takes.
const POLLS_MAX: u32 = 14;

const READS: [&str; 3] = [
    "SELECT sum(n)::bigint FROM items",
    "SELECT count(*) FROM marks",
    "SELECT coalesce(max(n), 0)::bigint FROM items, marks",
];

/// Is given up at the poll of this number.
struct GivenUp<'a, T> {
    work: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    polls_left: u32,
}

impl<T> Future for GivenUp<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        match self.polls_left {
            0 => Poll::Ready(None),
            _ => {
                self.polls_left -= 1;
                self.work.as_mut().poll(context).map(Some)
            }
        }
    }
}

async fn transaction(database: &Database, number: i32) -> Result<(), Error> {
    let work = |transaction: Transaction| async move {
        transaction.execute("UPDATE items SET n = n + $1", &[&number]).await?;
        database.cached(READS[0], &[]).fetch_in(&transaction).await?;
        transaction.execute("INSERT INTO marks VALUES ('t')", &[]).await.map(drop)
    };
    database.main().transaction(work).await
}

async fn read_only(database: &Database) -> Result<(), Error> {
    let options = TransactionOptions { isolation: Isolation::ReadCommitted, writes: Writes::Refused };
    let work = |transaction: Transaction| async move {
        for sql in READS {
            database.cached(sql, &[]).fetch_in(&transaction).await?;
        }
        Ok(())
    };
    database.main().transaction_with(options, work).await
}

async fn read(database: &Database, kind: u32, which: usize) -> Result<(), Error> {
    let cached = database.cached(READS[which], &[]);
    let cached = match kind {
        0 => cached
            .ttl(Duration::ZERO)
            .stale_while_revalidate(Duration::from_secs(600))
            .refresh_in_background(),
        1 => cached.ttl(Duration::ZERO).stale_while_revalidate(Duration::from_secs(600)),
        _ => cached,
    };
    cached.await.map(drop)
}

/// One thing that a task may do.
async fn act(database: &Database, mut random: Rng) -> Result<(), Error> {
    let (number, which) = (random.i32(1..100), random.usize(..READS.len()));
    match random.u32(0..10) {
        0 => database.main().execute("UPDATE items SET n = n + $1", &[&number]).await.map(drop),
        1 => {
            let rows = [vec![&number as _], vec![&number as _]];
            database.main().batch("UPDATE items SET n = n + $1", &rows).await.map(drop)
        }
        2 => transaction(database, number).await,
        3 => read_only(database).await,
        4 => {
            let mut rows =
                database.main().query_stream("INSERT INTO marks VALUES ('s') RETURNING key", &[]).await?;
            while rows.next().await?.is_some() {}
            Ok(())
        }
        5 => {
            let own = database.main().acquire().await?;
            own.batch_execute("BEGIN; DELETE FROM marks WHERE key = 't'; COMMIT").await
        }
        kind => read(database, kind % 3, which).await,
    }
}

/// What a session of its own says, and whether both instances say the same.
async fn compare(place: &Place, databases: &[Database]) {
    for sql in READS {
        let expected: i64 = place.psql(sql).parse().unwrap();
        for (number, database) in databases.iter().enumerate() {
            for ttl in [Duration::from_secs(60), Duration::ZERO] {
                let stale = Duration::from_secs(600);
                let rows = database.cached(sql, &[]).ttl(ttl).stale_while_revalidate(stale).await.unwrap();
                let found: i64 = rows.row(0).unwrap().get(0);
                assert_eq!(found, expected, "instance {number}, {:?}: {sql}", rows.source());
            }
        }
    }
}

/// Each answer is that of its own question.
async fn echo(database: &Database) {
    let answers = (0..16_i32).map(|number| async move {
        let row = database.main().query_one("SELECT $1::int", &[&number]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), number);
    });
    join_all(answers).await;
}

#[test]
fn whatever_is_dropped_wherever_what_is_read_is_true() {
    run(async {
        let (place, redis) = (place(), Redis::start());
        place.psql("INSERT INTO items VALUES (1, '', 0), (2, '', 0); INSERT INTO marks VALUES ('m')");
        let config = || DatabaseConfig { cache: Some(redis.config()), ..place.config() };
        let databases = [connect(config()).await, connect(config()).await];
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = Rng::with_seed(seed);
        let mut given_up = 0;
        for _ in 0..ROUNDS {
            let tasks = (0..TASKS).map(|_| {
                let (database, random) = (databases[random.usize(..2)].clone(), random.fork());
                let polls_left = fastrand::u32(..POLLS_MAX);
                tokio::spawn(async move {
                    let work = Box::pin(act(&database, random));
                    GivenUp { work, polls_left }.await
                })
            });
            for task in join_all(tasks.collect::<Vec<_>>()).await {
                given_up += usize::from(task.unwrap().is_none());
            }
            for database in &databases {
                at_rest(database).await;
            }
            compare(&place, &databases).await;
            for database in &databases {
                echo(database).await;
            }
        }
        println!("{given_up} of {} given up", ROUNDS * TASKS);
        for database in &databases {
            at_rest(database).await;
            let snapshot = database.cache().unwrap().snapshot();
            assert_eq!(snapshot.flights, 0);
            assert_eq!(database.report().writes.unwrap().unknown_total, 0);
        }
    });
}
