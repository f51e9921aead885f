use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::types::ToSql;

use super::{config, connect, connector, database, number, text};
use crate::connection::Named;
use crate::error::Error;
use crate::pool::Connector as _;
use crate::session::{Path, Pooling, Role};

const BY_ID: &str = "SELECT * FROM items WHERE id = $1";

#[tokio::test]
async fn a_direct_connection_is_found_out_and_has_its_settings() {
    let (node, database) = database();
    for pooling in [Pooling::Auto, Pooling::Direct] {
        let mut config = config(node.url(&database) + "?options=-c%20geqo%3Doff", &[]);
        config.pooling = pooling;
        config.statement_timeout = Duration::from_millis(200);
        for (role, expected) in [
            (Role::Main, "200ms,1min,4MB,off,off"),
            (Role::Read, "200ms,1min,4MB,on,off"),
            (Role::Admin, "5min,1min,64MB,off,off"),
        ] {
            let connector = connector(&config, role);
            for _ in 0..2 {
                let connection = connector.connect().await.unwrap();
                assert_eq!(connection.path(), Path::Direct);
                let names = "statement_timeout,idle_in_transaction_session_timeout,work_mem,\
                             default_transaction_read_only,geqo";
                let shown = names.split(',').map(|name| format!("current_setting('{name}')"));
                let sql = format!("SELECT concat_ws(',', {})", shown.collect::<Vec<_>>().join(","));
                assert_eq!(text(&connection, &sql).await, expected, "{role:?}");
                assert!(connector.is_clean(&connection));
            }
        }
        let main = connect(&config, Role::Main).await.unwrap();
        let error = main.execute("SELECT pg_sleep(60)", &[]).await.unwrap_err();
        assert_eq!(error.sqlstate(), "57014", "{error}");
        let read = connect(&config, Role::Read).await.unwrap();
        let error = read.execute("DELETE FROM items", &[]).await.unwrap_err();
        assert_eq!(error.sqlstate(), "25006", "{error}");
    }
}

#[tokio::test]
async fn statements_run_by_name_and_by_text() {
    let (node, database) = database();
    let config = config(node.url(&database), &[("item", BY_ID), ("later", "SELECT x FROM later")]);
    let connector = connector(&config, Role::Main);
    let one = connector.connect().await.unwrap();
    let sql = format!("SELECT count(*) FROM pg_prepared_statements WHERE statement = '{BY_ID}'");
    assert_eq!(number(&one, &sql).await, 1);
    let row = one.query_one(Named("item"), &[&3]).await.unwrap();
    assert_eq!(row.get::<_, String>("name"), "item 3");
    assert!(one.query_opt(Named("item"), &[&99]).await.unwrap().is_none());
    assert!(matches!(one.query_one(Named("item"), &[&99]).await, Err(Error::Rows { found: "no row", .. })));
    let several = one.query_one("SELECT * FROM items", &[]).await;
    assert!(matches!(several, Err(Error::Rows { found: "several rows", .. })));
    assert_eq!(one.execute("UPDATE items SET name = name WHERE id < $1", &[&4]).await.unwrap(), 3);
    let error = one.query(Named("nothing"), &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "no statement `nothing` is configured; these are: item, later");
    let error = one.query(BY_ID, &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "the statement takes 1 parameters, and 0 were given");
    assert!(connector.is_clean(&one));
    // What could not be prepared is tried again.
    assert_eq!(one.query(Named("later"), &[]).await.unwrap_err().sqlstate(), "42P01");
    node.psql(&database, "CREATE TABLE later AS SELECT 7 AS x").unwrap();
    assert_eq!(one.query_one(Named("later"), &[]).await.unwrap().get::<_, i32>(0), 7);
    assert!(connector.is_clean(&one));
}

#[tokio::test]
async fn outdated_plans_heal() {
    let (node, database) = database();
    let config = config(node.url(&database), &[("item", BY_ID)]);
    let connection = connect(&config, Role::Main).await.unwrap();
    let columns = async || connection.query_one(Named("item"), &[&1]).await.map(|row| row.len());
    assert_eq!(columns().await.unwrap(), 3);
    node.psql(&database, "ALTER TABLE items ADD COLUMN more int").unwrap();
    assert_eq!(columns().await.unwrap(), 4);
    connection.client().batch_execute("DEALLOCATE ALL").await.unwrap();
    assert_eq!(columns().await.unwrap(), 4);
    // A transaction cannot heal; the next one does.
    node.psql(&database, "ALTER TABLE items DROP COLUMN more").unwrap();
    connection.begin("BEGIN").await.unwrap();
    assert_eq!(columns().await.unwrap_err().sqlstate(), "0A000");
    connection.end("ROLLBACK").await.unwrap();
    assert_eq!(columns().await.unwrap(), 3);
}

#[tokio::test]
async fn parameters_follow_their_types() {
    let (node, database) = database();
    let connector = connector(&config(node.url(&database), &[("item", BY_ID)]), Role::Main);
    let connection = connector.connect().await.unwrap();
    assert_eq!(connection.query(Named("item"), &[&1i32]).await.unwrap().len(), 1);
    assert!(connection.query(Named("item"), &[&1i64]).await.is_err());
    node.psql(&database, "ALTER TABLE items ALTER id TYPE bigint").unwrap();
    assert_eq!(connection.query(Named("item"), &[&1i64]).await.unwrap().len(), 1);
    node.psql(&database, "ALTER TABLE items ALTER id TYPE text").unwrap();
    assert_eq!(connection.query(Named("item"), &[&"1"]).await.unwrap().len(), 1);
    assert_eq!(connection.query("SELECT nothing FROM items", &[]).await.unwrap_err().sqlstate(), "42703");
    assert!(connector.is_clean(&connection));
}

#[tokio::test]
async fn a_request_given_up_is_cancelled() {
    let (node, database) = database();
    for url in [node.url(&database), node.socket_url(&database)] {
        let connector = connector(&config(url, &[]), Role::Main);
        let mut connection = connector.connect().await.unwrap();
        connection.begin("BEGIN").await.unwrap();
        connection.execute("DELETE FROM items", &[]).await.unwrap();
        let sleep = connection.query("SELECT pg_sleep(600)", &[]);
        assert!(timeout(Duration::from_millis(50), sleep).await.is_err());
        assert!(!connector.is_clean(&connection));
        let began = Instant::now();
        assert!(connector.clean(&mut connection).await);
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        assert!(connector.is_clean(&connection) && connector.check(&mut connection).await);
        assert_eq!(number(&connection, "SELECT count(*) FROM items").await, 10);
    }
}

#[tokio::test]
async fn a_stream_is_in_flight_until_its_end() {
    let (node, database) = database();
    let connector = connector(&config(node.url(&database), &[]), Role::Main);
    let mut connection = connector.connect().await.unwrap();
    let mut rows = connection.query_stream("SELECT generate_series(1, 3)", &[]).await.unwrap();
    for expected in 1..=3 {
        assert_eq!(rows.next().await.unwrap().unwrap().get::<_, i32>(0), expected);
        assert!(!connector.is_clean(&connection));
    }
    assert!(rows.next().await.unwrap().is_none());
    assert_eq!(rows.rows_affected(), Some(3));
    assert!(rows.next().await.unwrap().is_none());
    drop(rows);
    assert!(connector.is_clean(&connection));
    let mut rows = connection.query_stream("SELECT generate_series(1, 100000000)", &[]).await.unwrap();
    assert!(rows.next().await.unwrap().is_some());
    drop(rows);
    assert!(!connector.is_clean(&connection));
    assert!(connector.clean(&mut connection).await);
    assert_eq!(number(&connection, "SELECT 1::int8").await, 1);
}

#[tokio::test]
async fn a_session_changed_by_hand_is_reset_but_keeps_its_statements() {
    let (node, database) = database();
    let connector = connector(&config(node.url(&database), &[("item", BY_ID)]), Role::Main);
    let mut connection = connector.connect().await.unwrap();
    let sql = "LISTEN news; SET work_mem = '1MB'; SET statement_timeout = 0; SELECT pg_advisory_lock(7); \
               CREATE TEMP TABLE scratch (x int); BEGIN; DELETE FROM items";
    connection.client().batch_execute(sql).await.unwrap();
    assert!(!connector.is_clean(&connection));
    assert!(connector.clean(&mut connection).await);
    assert!(connector.is_clean(&connection));
    let sql = "SELECT concat_ws(',', current_setting('work_mem'), current_setting('statement_timeout'), \
               (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_locks WHERE \
               locktype = 'advisory' AND pid = pg_backend_pid()), to_regclass('scratch'), \
               (SELECT count(*) FROM items), \
               (SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT * FROM items%'))";
    assert_eq!(text(&connection, sql).await, "4MB,30s,0,0,10,1");
    // Without a transaction, none is rolled back: that would be a warning in the server's log.
    connection.batch_execute("SET work_mem = '1MB'").await.unwrap();
    assert!(connector.clean(&mut connection).await);
    assert!(!node.log().contains("there is no transaction in progress"));
    // A failed transaction.
    connection.begin("BEGIN").await.unwrap();
    connection.execute("SELECT 1 / 0", &[]).await.unwrap_err();
    assert!(connector.clean(&mut connection).await);
    assert_eq!(number(&connection, "SELECT count(*) FROM items").await, 10);
}

#[tokio::test]
async fn statements_that_change_the_session_are_noticed() {
    let (node, database) = database();
    let connector = connector(&config(node.url(&database), &[]), Role::Main);
    for sql in ["SET work_mem = '1MB'", "BEGIN", "SELECT set_config('work_mem', '1MB', false)"] {
        let mut connection = connector.connect().await.unwrap();
        connection.query(sql, &[]).await.unwrap();
        assert!(!connector.is_clean(&connection), "{sql}");
        assert!(connector.clean(&mut connection).await);
        assert_eq!(text(&connection, "SELECT current_setting('work_mem')").await, "4MB", "{sql}");
        assert!(connector.is_clean(&connection));
    }
}

#[tokio::test]
async fn prepared_statements_are_bounded() {
    let (node, database) = database();
    let connection = connect(&config(node.url(&database), &[("item", BY_ID)]), Role::Main).await.unwrap();
    for i in 0..600 {
        assert_eq!(number(&connection, &format!("SELECT {i}::int8")).await, i);
    }
    let count = number(&connection, "SELECT count(*) FROM pg_prepared_statements").await;
    assert!((200..=260).contains(&count), "{count}");
    assert!(connection.query_opt(Named("item"), &[&1]).await.unwrap().is_some());
}

#[tokio::test]
async fn requests_sent_together_keep_their_order() {
    let (node, database) = database();
    let connection = connect(&config(node.url(&database), &[]), Role::Main).await.unwrap();
    let insert = "INSERT INTO items VALUES ($1, 'new')";
    connection.prepare(insert.into()).await.unwrap();
    let (begun, inserted, ended) = tokio::join!(biased; connection.begin("BEGIN"), connection.execute(insert, &[&11]), connection.end("COMMIT"));
    begun.unwrap();
    assert_eq!(inserted.unwrap(), 1);
    ended.unwrap();
    assert!(connection.is_clean());
    let ids: Vec<i32> = (20..500).collect();
    let rows: Vec<Vec<&(dyn ToSql + Sync)>> = ids.iter().map(|id| vec![id as _]).collect();
    assert_eq!(connection.batch(insert, &rows).await.unwrap(), vec![1; 480]);
    assert_eq!(number(&connection, "SELECT count(*) FROM items").await, 491);
}

#[tokio::test]
async fn a_lost_connection_is_closed() {
    let (node, database) = database();
    let connector = connector(&config(node.url(&database), &[]), Role::Main);
    let mut connection = connector.connect().await.unwrap();
    let error = connection.query("SELECT pg_terminate_backend(pg_backend_pid())", &[]).await.unwrap_err();
    assert!(error.is_connection_lost(), "{error:?}");
    assert!(!connector.check(&mut connection).await);
    assert!(connector.is_closed(&connection));
    assert!(!connector.clean(&mut connection).await || connector.is_closed(&connection));
}
