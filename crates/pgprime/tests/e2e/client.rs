//! The library for applications through the pooler, and through a real PgBouncer in transaction mode in its place.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pgprime_client::types::ToSql;
use pgprime_client::{
    Access, Database, DatabaseConfig, Direction, Error, Freshness, Isolation, Keyset, Named, Path,
    RetryPolicy, TransactionOptions, Writes,
};
use tokio::time::timeout;

use crate::harness::{Pooler, Setup, cluster, run, wait_until};

/// What applications connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Own,
    PgBouncer,
}

/// A pooler with two servers for a database of its own.
struct Way {
    kind: Kind,
    pooler: Pooler,
    database: String,
}

impl Way {
    fn start(kind: Kind) -> Self {
        let database = cluster().test_database("client").unwrap();
        let setup = Setup::new().database(cluster().primary(), &database, "pool_size=2");
        let pooler = match kind {
            Kind::Own => Pooler::start(setup),
            Kind::PgBouncer => Pooler::start_as(setup, pgbouncer),
        };
        let way = Self { kind, pooler, database };
        way.psql(
            "CREATE TYPE mood AS ENUM ('glad', 'sad'); \
             CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, mood mood NOT NULL DEFAULT 'glad'); \
             INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 100) i;",
        );
        way
    }

    fn psql(&self, sql: &str) -> String {
        cluster().primary().psql(&self.database, sql).unwrap()
    }

    fn config(&self) -> DatabaseConfig {
        let mut config = DatabaseConfig::new(self.pooler.url(&self.database));
        config.pool_min = Some(2);
        config.pool_max = Some(4);
        config.admin.size = Some(2);
        config.statement_timeout = Duration::from_secs(11);
        config.admin.statement_timeout = Duration::from_secs(77);
        config.admin.work_mem = "33MB".to_owned();
        config.admin.lock_timeout = Duration::from_secs(7);
        config.admin.idle_in_transaction_timeout = Duration::from_secs(66);
        config.admin.parallel_workers_max = 1;
        config.statements = vec![
            ("item_by_id".into(), "SELECT id, name, mood::text FROM items WHERE id = $1".into()),
            ("rename".into(), "UPDATE items SET name = $2 WHERE id = $1".into()),
            ("missing".into(), "SELECT * FROM missing".into()),
        ];
        config
    }

    async fn connect(&self) -> Database {
        Database::connect(self.config()).await.unwrap()
    }

    /// Nothing of this database is left running or open.
    fn check_quiet(&self) {
        let open = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND backend_type = 'client backend' AND \
             state <> 'idle' AND pid <> pg_backend_pid()",
            self.database
        );
        wait_until("nothing runs any more", || cluster().primary().psql("postgres", &open).unwrap() == "0");
    }
}

/// PgBouncer refuses to be root: then it becomes whoever runs PostgreSQL, and gets the files.
fn pgbouncer(config: &std::path::Path) -> Command {
    let mut command = Command::new(pgbouncer_program());
    command.arg(config);
    if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        let data = cluster().primary().psql("postgres", "SHOW data_directory").unwrap();
        let owner = fs::metadata(data).unwrap();
        let folder = config.parent().unwrap();
        for path in [folder, config, &folder.join("userlist.txt")] {
            chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        command.uid(owner.uid()).gid(owner.gid());
    }
    command
}

fn pgbouncer_program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut programs = folders.map(|folder| folder.join("pgbouncer"));
    programs.find(|program| program.is_file()).expect("PgBouncer is missing: run scripts/setup.sh test")
}

/// Runs a test through the one and the other.
fn through_both<F: Future<Output = ()>>(test: impl Fn(Way) -> F) {
    for kind in [Kind::Own, Kind::PgBouncer] {
        println!("through {kind:?}");
        run(test(Way::start(kind)));
    }
}

async fn text(access: &Access, sql: &str) -> String {
    access.query_one(sql, &[]).await.unwrap().get(0)
}

#[test]
fn statements_by_name_and_by_text() {
    through_both(|way| async move {
        let database = way.connect().await;
        let expected = Path::TransactionPooler { named_statements: way.kind == Kind::Own };
        assert_eq!(database.main().acquire().await.unwrap().path(), expected);
        for access in [database.main(), database.read()] {
            for id in 1..=60_i64 {
                let row = access.query_one(Named("item_by_id"), &[&id]).await.unwrap();
                assert_eq!((row.get(0), row.get::<_, String>(1)), (id, format!("item {id}")));
                let row = access
                    .query_opt("SELECT name, mood FROM items WHERE id = $1", &[&(id + 50)])
                    .await
                    .unwrap();
                assert_eq!(row.is_some(), id <= 50);
            }
            assert_eq!(
                access.query("SELECT * FROM items WHERE mood = 'glad'", &[]).await.unwrap().len(),
                100
            );
            assert_eq!(access.query(Named("missing"), &[]).await.unwrap_err().sqlstate(), "42P01");
            assert_eq!(access.query("SELECT 1 / 0", &[]).await.unwrap_err().sqlstate(), "22012");
        }
        assert_eq!(database.main().execute(Named("rename"), &[&1_i64, &"new"]).await.unwrap(), 1);
        // The table comes later than the connections.
        way.psql("CREATE TABLE missing AS SELECT 7 AS x");
        let row = database.main().query_one(Named("missing"), &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 7);
        // A statement whose result changes its shape is prepared again.
        way.psql("ALTER TABLE missing ADD COLUMN y int DEFAULT 8");
        assert_eq!(database.main().query_one(Named("missing"), &[]).await.unwrap().len(), 2);
        drop(database);
        way.check_quiet();
    });
}

#[test]
fn settings_of_the_roles_reach_their_statements_and_no_others() {
    through_both(|way| async move {
        let database = way.connect().await;
        let sql = "SELECT concat_ws(' ', current_setting('work_mem'), current_setting('statement_timeout'), \
                   current_setting('transaction_read_only'), current_setting('lock_timeout'), \
                   current_setting('idle_in_transaction_session_timeout'), \
                   current_setting('max_parallel_workers_per_gather'))";
        for _ in 0..5 {
            assert_eq!(text(&database.admin(), sql).await, "33MB 77s off 7s 66s 1");
            assert_eq!(text(&database.read(), sql).await, "4MB 11s on 0 1min 2");
            // Nothing is left in the sessions that others use.
            assert_eq!(text(&database.main(), sql).await, "4MB 0 off 0 0 2");
        }
        for (access, expected) in [
            (database.main(), "4MB 11s off 0 1min 2"),
            (database.read(), "4MB 11s on 0 1min 2"),
            (database.admin(), "33MB 77s off 7s 66s 1"),
        ] {
            let found = access.transaction(|transaction| async move {
                Ok::<String, Error>(transaction.query_one(sql, &[]).await?.get(0))
            });
            assert_eq!(found.await.unwrap(), expected);
            let mut rows = access.query_stream(sql, &[]).await.unwrap();
            let found: String = rows.next().await.unwrap().unwrap().get(0);
            assert!(rows.next().await.unwrap().is_none());
            assert!(found == expected || found == "4MB 0 off 0 0 2", "{found}");
        }
        way.check_quiet();
    });
}

#[test]
fn reads_cannot_write_and_admin_can() {
    through_both(|way| async move {
        let database = way.connect().await;
        let (read, admin) = (database.read(), database.admin());
        let insert = "INSERT INTO items VALUES (1000, 'x') RETURNING id";
        assert_eq!(read.execute(insert, &[]).await.unwrap_err().sqlstate(), "25006");
        assert_eq!(read.batch(insert, &[vec![]]).await.unwrap_err().sqlstate(), "25006");
        let outcome = read.transaction(|transaction| async move { transaction.execute(insert, &[]).await });
        assert_eq!(outcome.await.unwrap_err().sqlstate(), "25006");
        let outcome = match read.query_stream(insert, &[]).await {
            Ok(mut rows) => rows.next().await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(outcome.unwrap_err().sqlstate(), "25006");

        assert_eq!(admin.execute("INSERT INTO items VALUES (1001, 'x')", &[]).await.unwrap(), 1);
        // What a stream has written is there once its last row has been read.
        let mut rows =
            admin.query_stream("INSERT INTO items VALUES (1002, 'x') RETURNING id", &[]).await.unwrap();
        assert_eq!(rows.next().await.unwrap().unwrap().get::<_, i64>(0), 1_002);
        assert!(rows.next().await.unwrap().is_none());
        assert_eq!(way.psql("SELECT string_agg(id::text, ',') FROM items WHERE id >= 1000"), "1001,1002");
        way.check_quiet();
    });
}

#[test]
fn transactions_commit_roll_back_and_are_retried() {
    through_both(|way| async move {
        let database = way.connect().await;
        let (main, attempts) = (database.main().with_retry(RetryPolicy::default()), AtomicU32::new(0));
        let (counted, other) = (&attempts, &database.admin());
        let options = TransactionOptions { isolation: Isolation::RepeatableRead, writes: Writes::Allowed };
        let rename = "UPDATE items SET name = name || $1 WHERE id = 1";
        let changed = main.transaction_with(options, |transaction| async move {
            transaction.query_one(Named("item_by_id"), &[&1_i64]).await?;
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                other.execute(rename, &[&" other"]).await?;
            }
            let undone: Result<(), Error> = transaction
                .savepoint(|savepoint| async move {
                    savepoint.execute("INSERT INTO items VALUES (500, 'undone')", &[]).await?;
                    savepoint.execute("INSERT INTO items VALUES (1, 'twice')", &[]).await.map(drop)
                })
                .await;
            assert_eq!(undone.unwrap_err().sqlstate(), "23505");
            transaction.execute(rename, &[&" mine"]).await
        });
        assert_eq!(changed.await.unwrap(), 1);
        assert_eq!((attempts.load(Ordering::SeqCst), database.report().main.queries.retries_total), (2, 1));
        let outcome: Result<(), Error> = main
            .transaction(|transaction| async move {
                transaction.execute("DELETE FROM items", &[]).await?;
                Err(Error::Usage("no".to_owned()))
            })
            .await;
        assert_eq!(outcome.unwrap_err().to_string(), "no");
        assert_eq!(
            way.psql("SELECT name, (SELECT count(*) FROM items) FROM items WHERE id = 1"),
            "item 1 other mine|100"
        );
        let mut session = database.session(Freshness::Avoid);
        assert_eq!(session.execute("DELETE FROM items WHERE id > $1", &[&90_i64]).await.unwrap(), 10);
        assert_eq!(session.position(), None, "without a replica nobody could lag behind one");
        way.check_quiet();
    });
}

#[test]
fn batches_streams_and_pages() {
    through_both(|way| async move {
        let database = way.connect().await;
        let (main, read) = (database.main(), database.read());
        let ids: Vec<i64> = (1_001..=4_000).collect();
        let rows: Vec<Vec<&(dyn ToSql + Sync)>> =
            ids.iter().map(|id| vec![id as &(dyn ToSql + Sync), &"batch"]).collect();
        let changed = main.batch("INSERT INTO items (id, name) VALUES ($1, $2)", &rows).await.unwrap();
        assert_eq!(changed, vec![1; 3_000]);
        assert_eq!(way.psql("SELECT count(DISTINCT xmin::text) FROM items WHERE name = 'batch'"), "1");

        for access in [&main, &read, &database.admin()] {
            let mut stream =
                access.query_stream("SELECT id, mood::text FROM items ORDER BY id", &[]).await.unwrap();
            let mut found = 0;
            while let Some(row) = stream.next().await.unwrap() {
                found += 1;
                assert!(row.get::<_, i64>(0) >= found && row.get::<_, &str>(1) == "glad");
            }
            assert_eq!(found, 3_100);
        }

        let keyset = Keyset::new("SELECT id, name FROM items WHERE id > $1", 500)
            .key("name", "text", Direction::Descending)
            .key("id", "bigint", Direction::Ascending);
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = read.page(&keyset, &[&50_i64], cursor.as_deref()).await.unwrap();
            seen.extend(page.rows.iter().map(|row| row.get::<_, i64>("id")));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let expected =
            way.psql("SELECT string_agg(id::text, ',' ORDER BY name DESC, id) FROM items WHERE id > 50");
        let seen: Vec<String> = seen.iter().map(ToString::to_string).collect();
        assert_eq!(seen.join(","), expected);
        way.check_quiet();
    });
}

#[test]
fn what_is_given_up_is_cancelled_and_disturbs_nobody() {
    through_both(|way| async move {
        let database = way.connect().await;
        for role in [database.main(), database.read(), database.admin()] {
            let patience = Duration::from_millis(100);
            assert!(timeout(patience, role.query("SELECT pg_sleep(60)", &[])).await.is_err());
            let endless = role.transaction(|transaction| async move {
                transaction.execute("SELECT 1", &[]).await?;
                transaction.query("SELECT pg_sleep(60)", &[]).await.map(drop)
            });
            assert!(timeout(patience, endless).await.is_err());
            let mut rows = role.query_stream("SELECT generate_series(1, 1000000)", &[]).await.unwrap();
            rows.next().await.unwrap();
            drop(rows);
            for number in 0..20_i32 {
                let row = role.query_one("SELECT $1::int4 + 0", &[&number]).await.unwrap();
                assert_eq!(row.get::<_, i32>(0), number, "another's answer");
            }
        }
        way.check_quiet();
    });
}

/// Several applications share the pooler's two servers, and call different statements by the same names.
#[test]
fn applications_with_the_same_names_never_get_each_others_results() {
    through_both(|way| async move {
        let mut tasks = Vec::new();
        for application in 0..5_i32 {
            let mut config = way.config();
            config.statements = vec![
                // As many columns and parameters, but not the same; then others.
                ("lookup".into(), format!("SELECT {application}, $1::int4 + {application}")),
                ("shape".into(), format!("SELECT {} AS x", vec!["1"; application as usize + 1].join(", "))),
            ];
            let database = Database::connect(config).await.unwrap();
            for task in 0..6_i32 {
                let database = database.clone();
                tasks.push(tokio::spawn(async move { use_own(&database, application, task).await }));
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
        way.check_quiet();
    });
}

async fn use_own(database: &Database, application: i32, task: i32) {
    for round in 0..30_i32 {
        let role = match (round + task) % 3 {
            0 => database.main(),
            1 => database.read(),
            _ => database.admin(),
        };
        let columns = usize::try_from(application).unwrap() + 1;
        // The admin pool has no statements of the configuration at hand, but knows their names.
        if (round + task) % 3 != 2 {
            let row = role.query_one(Named("lookup"), &[&round]).await.unwrap();
            assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (application, round + application));
            assert_eq!(role.query_one(Named("shape"), &[]).await.unwrap().len(), columns);
        }
        let sql = format!("SELECT {application}::int4, $1::text, {task}::int4");
        let text = format!("{application} {task} {round}");
        let row = role.query_one(&sql, &[&text]).await.unwrap();
        assert_eq!((row.get(0), row.get::<_, &str>(1), row.get(2)), (application, text.as_str(), task));
    }
}
