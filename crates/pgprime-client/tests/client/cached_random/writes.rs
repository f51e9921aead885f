//! Writes by chance, through every way that the library has.

use std::time::Duration;

use fastrand::Rng;
use futures_util::SinkExt as _;
use pgprime_client::{Database, Error, Freshness, PooledConnection, Transaction};

use super::schema::{Schema, choice, one};
use crate::support::at_rest;

/// The version that has MERGE.
const VERSION_WITH_MERGE: i32 = 150_000;

/// One change of rows, as a statement.
pub(crate) fn change(schema: &Schema, random: &mut Rng) -> String {
    let target = schema.target(random).to_owned();
    let (id, by) = (random.u32(1..9), random.u32(1..9));
    let source = schema.target(random).to_owned();
    let writer = match schema.writers.is_empty() {
        true => "1".to_owned(),
        false => one(random, &schema.writers).to_owned(),
    };
    match random.u32(0..14) {
        0 => format!("INSERT INTO {target} (id, n) VALUES ({id}{by}, {by})"),
        1 => format!("INSERT INTO {target} (id) VALUES ({id}) ON CONFLICT DO NOTHING"),
        2 => format!(
            "INSERT INTO {target} (id, n) VALUES ({id}, 1) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n + {by}"
        ),
        3 => format!("DELETE FROM {target} WHERE id = {id}"),
        4 => format!("UPDATE {target} SET id = id + {by}0 WHERE id = {id}"),
        5 => format!("UPDATE {target} t SET n = t.n + s.n FROM {source} s WHERE s.id = t.id"),
        6 => format!("UPDATE {target} SET n = n + {writer} WHERE id = {id}"),
        7 if schema.version >= VERSION_WITH_MERGE => format!(
            "MERGE INTO {target} t USING {source} s ON t.id = s.id + 1 WHEN MATCHED AND t.id = {id} THEN DELETE \
             WHEN MATCHED THEN UPDATE SET n = t.n + {by} WHEN NOT MATCHED AND s.id < 5 THEN INSERT (id, n) VALUES (s.id + 1, 0)"
        ),
        8 => format!(
            "WITH gone AS (DELETE FROM {target} WHERE id = {id} RETURNING *), \
             more AS (UPDATE {source} SET n = n + {by} WHERE id <> {id} RETURNING id) SELECT count(*) FROM gone, more"
        ),
        9 => format!("UPDATE {target} SET n = DEFAULT, r = DEFAULT WHERE id = {id}"),
        _ => format!("UPDATE {target} SET n = n + {by} WHERE id < {id}"),
    }
}

/// Anything that changes something.
fn any(schema: &Schema, random: &mut Rng) -> String {
    let table = one(random, &schema.tables).to_owned();
    match random.u32(0..16) {
        0 => format!("TRUNCATE {table} CASCADE"),
        1 if !schema.writers.is_empty() => format!("SELECT {}", one(random, &schema.writers)),
        2 if !schema.procedures.is_empty() => one(random, &schema.procedures).to_owned(),
        3 if !schema.materialized.is_empty() => {
            format!("REFRESH MATERIALIZED VIEW {}", one(random, &schema.materialized))
        }
        4 => format!("DO $$ BEGIN {}; END $$", change(schema, random)),
        5 => format!("DO $$ DECLARE q text := $q${}$q$; BEGIN EXECUTE q; END $$", change(schema, random)),
        6 => format!("EXPLAIN ANALYZE {}", change(schema, random)),
        7 => format!("CREATE INDEX ON {table} (n)"),
        8 => format!("COMMENT ON TABLE {table} IS 'a'"),
        _ => change(schema, random),
    }
}

/// A change of definitions. What is there afterwards has the same shape.
pub(crate) fn definition(schema: &Schema, random: &mut Rng) -> String {
    let table = one(random, &schema.tables).to_owned();
    let (bare, from) =
        (table.rsplit('.').next().unwrap_or_default().to_owned(), schema.target(random).to_owned());
    match random.u32(0..6) {
        0 if !schema.views.is_empty() => {
            let view = one(random, &schema.views).to_owned();
            format!("CREATE OR REPLACE VIEW {view} AS SELECT id, n, r, x FROM {from} WHERE id > 1")
        }
        1 => format!("ALTER TABLE {table} ALTER n TYPE int USING n + 1"),
        2 => format!(
            "ALTER TABLE {table} RENAME TO moved; ALTER TABLE {}moved RENAME TO {bare}",
            schema_of(&table)
        ),
        3 => format!(
            "CREATE OR REPLACE RULE more AS ON UPDATE TO {table} DO ALSO INSERT INTO a.log (id) VALUES (NEW.id)"
        ),
        4 => format!(
            "CREATE TABLE {table}_heir () INHERITS ({table}); INSERT INTO {table}_heir (id) VALUES (77)"
        ),
        _ => format!("ALTER TABLE {table} DISABLE TRIGGER USER"),
    }
}

fn schema_of(table: &str) -> &str {
    table.rfind('.').map_or("", |dot| &table[..=dot])
}

async fn connection(database: &Database) -> Result<PooledConnection, Error> {
    database.main().acquire().await
}

/// Carries out one write in one of the ways; what fails has changed nothing, or what came before it.
pub(crate) async fn write(
    database: &Database,
    schema: &Schema,
    random: &mut Rng,
) -> (String, Result<(), Error>) {
    let (first, second) = (any(schema, random), change(schema, random));
    let way = random.u32(0..24);
    let told = format!("way {way}: {first} / {second}");
    let outcome = match way {
        0..=7 => by_statements(database, way, &first, &second).await,
        8..=13 => in_transactions(database, way, &first, &second).await,
        14..=19 => by_texts(database, way, &first, &second).await,
        _ => otherwise(database, schema, random, way, &second).await,
    };
    at_rest(database).await;
    (told, outcome)
}

async fn by_statements(database: &Database, way: u32, first: &str, second: &str) -> Result<(), Error> {
    match way {
        0 => database.main().execute(first, &[]).await.map(drop),
        1 => database.main().query(first, &[]).await.map(drop),
        2 => database.admin().execute(first, &[]).await.map(drop),
        3 => database.main().batch(second, &[vec![], vec![]]).await.map(drop),
        4 => {
            let mut rows = database.main().query_stream(first, &[]).await?;
            while rows.next().await?.is_some() {}
            Ok(())
        }
        5 => drop_early(database, first).await,
        6 => database.session(Freshness::Avoid).execute(first, &[]).await.map(drop),
        _ => {
            let limit = Duration::from_micros(u64::from(way) * 40);
            let _ = tokio::time::timeout(limit, database.main().execute(first, &[])).await;
            Ok(())
        }
    }
}

async fn drop_early(database: &Database, sql: &str) -> Result<(), Error> {
    let mut rows = database.main().query_stream(sql, &[]).await?;
    rows.next().await.map(drop)
}

async fn in_transactions(database: &Database, way: u32, first: &str, second: &str) -> Result<(), Error> {
    let main = database.main();
    match way {
        8 => {
            let work = |transaction: Transaction| async move {
                transaction.query("SELECT count(*) FROM a.log", &[]).await?;
                transaction.execute(second, &[]).await?;
                transaction.execute(first, &[]).await.map(drop)
            };
            main.transaction(work).await
        }
        9 => {
            let work = |transaction: Transaction| async move {
                let undone = async |inner: Transaction| {
                    inner.execute(first, &[]).await?;
                    Err::<(), Error>(Error::Rows { expected: "nothing", found: "this" })
                };
                let _ = transaction.savepoint(undone).await;
                transaction.execute(second, &[]).await.map(drop)
            };
            main.transaction(work).await
        }
        10 => {
            let work = |transaction: Transaction| async move {
                transaction.execute(second, &[]).await?;
                Err::<(), Error>(Error::Rows { expected: "nothing", found: "this" })
            };
            let _ = main.transaction(work).await;
            Ok(())
        }
        11 => {
            let work = |transaction: Transaction| async move {
                let (one, other) =
                    tokio::join!(transaction.execute(second, &[]), transaction.execute(first, &[]));
                one.and(other).map(drop)
            };
            main.transaction(work).await
        }
        12 => {
            let cursor = format!("DECLARE c CURSOR FOR {first}");
            let work = |transaction: Transaction| {
                let cursor = &cursor;
                async move {
                    transaction.execute(cursor, &[]).await?;
                    transaction.query("FETCH ALL FROM c", &[]).await.map(drop)
                }
            };
            main.transaction(work).await
        }
        _ => {
            let work = |transaction: Transaction| async move {
                transaction.execute("SET LOCAL search_path = b, a", &[]).await?;
                transaction.execute(first, &[]).await.map(drop)
            };
            main.transaction(work).await
        }
    }
}

async fn by_texts(database: &Database, way: u32, first: &str, second: &str) -> Result<(), Error> {
    let own = connection(database).await?;
    match way {
        14 => own.batch_execute(&format!("{second}; {first}")).await,
        15 => own.batch_execute(&format!("BEGIN; {second}; COMMIT; {first}")).await,
        16 => {
            own.batch_execute("BEGIN").await?;
            own.execute(second, &[]).await?;
            own.batch_execute("SAVEPOINT s").await?;
            let _ = own.execute(first, &[]).await;
            own.batch_execute("ROLLBACK TO s").await?;
            own.execute("COMMIT", &[]).await.map(drop)
        }
        17 => {
            own.execute(&format!("PREPARE prepared AS {second}"), &[]).await?;
            own.execute("EXECUTE prepared", &[]).await.map(drop)
        }
        18 => own.client().batch_execute(first).await.map_err(Error::from),
        _ => {
            let (one, other) = tokio::join!(own.execute(second, &[]), own.execute(first, &[]));
            one.and(other).map(drop)
        }
    }
}

/// COPY, another search path, what it hides, and what a session may be left with.
async fn otherwise(
    database: &Database,
    schema: &Schema,
    random: &mut Rng,
    way: u32,
    second: &str,
) -> Result<(), Error> {
    let own = connection(database).await?;
    match way {
        20 => {
            let sql = format!("COPY {} (id, n) FROM STDIN", schema.target(random));
            let sink = own.client().copy_in(&sql).await.map_err(Error::from)?;
            let mut sink = std::pin::pin!(sink);
            let rows = bytes::Bytes::from(format!("{}\t7\n", random.u32(20..40)));
            sink.send(rows).await.map_err(Error::from)?;
            sink.finish().await.map(drop).map_err(Error::from)
        }
        21 if !schema.hidden.is_empty() => {
            own.execute("SET search_path = b, a, pg_catalog", &[]).await?;
            own.query(one(random, &schema.hidden), &[]).await.map(drop)
        }
        22 => leave_behind(&own, schema, random).await,
        _ => {
            let settings = [
                "TimeZone = 'Asia/Tokyo'",
                "DateStyle = 'German'",
                "bytea_output = 'escape'",
                "role = 'other'",
            ];
            own.execute(&format!("SET {}", choice(random, &settings)), &[]).await?;
            own.execute(second, &[]).await.map(drop)
        }
    }
}

/// A session that would read something else by itself.
async fn leave_behind(own: &PooledConnection, schema: &Schema, random: &mut Rng) -> Result<(), Error> {
    let table = one(random, &schema.tables).rsplit('.').next().unwrap_or_default().to_owned();
    let shadow = "SELECT 1 AS id, 999 AS n, 1 AS r, 's' AS x";
    let sql = match random.u32(0..6) {
        0 => format!("SELECT 1 AS id, 999 AS n, 1 AS r, 's' AS x INTO LOCAL TEMPORARY TABLE {table}"),
        1 => format!("SELECT 1 AS id, 999 AS n, 1 AS r, 's' AS x INTO pg_temp.{table}"),
        2 => format!("CREATE TEMP TABLE {table} AS {shadow}"),
        3 => "SELECT a.leaves_path()".to_owned(),
        4 => "SELECT a.leaves_table()".to_owned(),
        _ => format!("SELECT a.leaves_table_by_text('{table}')"),
    };
    own.query(&sql, &[]).await.map(drop)
}
