//! Reading one's own writes, with a replica whose replay is paused.

use std::time::{Duration, Instant};

use pgprime_client::{Database, DatabaseConfig, Error, Freshness, Session};

use crate::support::{Cut, Place, Proxy, Trigger, connect, disturbed_place, place, run, until};

fn config(place: &Place) -> DatabaseConfig {
    place.config_with_replica()
}

fn pause(place: &Place) {
    place.replica().psql("postgres", "SELECT pg_wal_replay_pause()").unwrap();
    // Paused in fact, not only asked to be; before version 14 nobody tells, but nothing new is replayed.
    let version: u32 = place.psql("SHOW server_version_num").parse().unwrap();
    let is_paused = match version {
        ..140_000 => "SELECT pg_is_wal_replay_paused()",
        _ => "SELECT pg_get_wal_replay_pause_state() = 'paused'",
    };
    while place.replica().psql("postgres", is_paused).unwrap() != "t" {}
}

fn resume(place: &Place) {
    place.replica().psql("postgres", "SELECT pg_wal_replay_resume()").unwrap();
}

/// Items this session sees, and whether it sees them on the replica.
async fn seen(session: &Session) -> (i64, bool) {
    let rows = session.query("SELECT count(*), pg_is_in_recovery() FROM items", &[]).await.unwrap();
    (rows[0].get(0), rows[0].get(1))
}

async fn write(session: &mut Session, id: i64) {
    assert_eq!(session.execute("INSERT INTO items (id) VALUES ($1)", &[&id]).await.unwrap(), 1);
}

/// Without a new write, until the replica is known to have all.
async fn back_on_the_replica(session: &Session, items: i64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while seen(session).await != (items, true) {
        assert!(Instant::now() < deadline, "reads did not come back to the replica");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn avoiding_the_replica_until_it_has_the_write() {
    let (place, _turn) = disturbed_place();
    run(async {
        let database = connect(config(&place)).await;
        pause(&place);
        let (mut writer, stranger) = (database.session(Freshness::Avoid), database.session(Freshness::Avoid));
        assert_eq!((seen(&writer).await, writer.position()), ((0, true), None));
        write(&mut writer, 1).await;
        assert_eq!(seen(&writer).await, (1, false));
        // Who has not written may read what is older.
        assert_eq!(seen(&stranger).await, (0, true));
        // Its position is good for another instance of the application.
        let elsewhere = connect(config_now(&place)).await;
        let handed = elsewhere.session(Freshness::Avoid).after(writer.position().unwrap());
        assert_eq!(seen(&handed).await, (1, false));
        assert_eq!(handed.position(), writer.position());

        resume(&place);
        for session in [&writer, &stranger, &handed] {
            back_on_the_replica(session, 1).await;
        }
        // A later position wins over an earlier one.
        let before = writer.position().unwrap();
        write(&mut writer, 2).await;
        assert!(writer.position().unwrap() > before);
        assert_eq!(writer.clone().after(before).position(), writer.position());
        assert_eq!(seen(&writer).await.0, 2);
    });
}

/// Without waiting for the replica, whose replay is paused.
fn config_now(place: &Place) -> DatabaseConfig {
    let mut config = place.config();
    config.read_url = Some(place.url(place.replica().port()));
    config
}

#[test]
fn waiting_for_the_replica_to_have_the_write() {
    let (place, _turn) = disturbed_place();
    run(async {
        let database = connect(config(&place)).await;
        pause(&place);
        // It waits in vain, and reads from the main database then.
        let mut session = database.session(Freshness::Wait(Duration::from_millis(200)));
        write(&mut session, 1).await;
        let began = Instant::now();
        assert_eq!(seen(&session).await, (1, false));
        assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
        // It waits, and the replica comes.
        let mut session = database.session(Freshness::Wait(Duration::from_secs(30)));
        write(&mut session, 2).await;
        let reading = tokio::spawn(async move { seen(&session).await });
        until("it asks the replica", || database.report().read.pool.unwrap().acquired_total > 20).await;
        assert!(!reading.is_finished());
        resume(&place);
        assert_eq!(reading.await.unwrap(), (2, true));
    });
}

/// Every write is seen, whether the replica is quick or slow.
#[test]
fn each_write_is_seen_by_the_next_read() {
    let place = place();
    run(async {
        let database = connect(config(&place)).await;
        let mut on_replica = 0;
        for freshness in [Freshness::Avoid, Freshness::Wait(Duration::from_secs(10))] {
            let mut session = database.session(freshness);
            let before = seen(&session).await.0;
            for more in 1..=25 {
                write(&mut session, before + more).await;
                let (items, is_replica) = seen(&session).await;
                assert_eq!(items, before + more, "{freshness:?}");
                on_replica += u32::from(is_replica);
            }
            back_on_the_replica(&session, before + 25).await;
        }
        assert!(on_replica >= 20, "waiting never led to the replica: {on_replica}");
    });
}

#[test]
fn what_was_rolled_back_needs_no_freshness_and_what_is_uncertain_needs_main() {
    let place = place();
    run(async {
        let proxy = Proxy::start(place.primary().port()).await;
        let mut config = config(&place);
        config.url = place.url(proxy.port());
        let database: Database = connect(config).await;
        let mut session = database.session(Freshness::Avoid);
        let outcome: Result<(), Error> = session
            .transaction(|transaction| async move {
                transaction.execute("INSERT INTO items VALUES (1)", &[]).await?;
                transaction.execute("INSERT INTO items VALUES (1)", &[]).await.map(drop)
            })
            .await;
        assert_eq!(outcome.unwrap_err().sqlstate(), "23505");
        assert_eq!((session.position(), seen(&session).await), (None, (0, true)));

        proxy.cut(Trigger::Query("COMMIT"), Cut::After, 1);
        let error = session.execute("INSERT INTO items VALUES (1)", &[]).await.unwrap_err();
        assert!(matches!(error, Error::CommitUncertain { .. }), "{error}");
        assert_eq!((session.position(), seen(&session).await), (None, (1, false)));
        // A write that is given up may have happened.
        let mut session = database.session(Freshness::Avoid);
        let given_up =
            tokio::time::timeout(Duration::from_millis(50), session.execute("SELECT pg_sleep(60)", &[]));
        assert!(given_up.await.is_err());
        assert!(!seen(&session).await.1);
    });
}

#[test]
fn without_a_replica_a_session_reads_from_main() {
    let place = place();
    run(async {
        let database = place.connect().await;
        let mut session = database.session(Freshness::Wait(Duration::from_secs(5)));
        write(&mut session, 1).await;
        assert_eq!(seen(&session).await, (1, false));
        // Reads of a session cannot write either.
        let error = session.query("INSERT INTO items VALUES (2) RETURNING id", &[]).await.unwrap_err();
        assert_eq!(error.sqlstate(), "25006");
        // There is nobody who could lag behind a position.
        assert_eq!(session.position(), None);
    });
}
