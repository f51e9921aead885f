//! What may go wrong between the listener and logical decoding.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pgprime_client::outside::{self, Columns};
use pgprime_client::{Database, DatabaseConfig};
use pgprime_cluster::{ClusterOptions, SharedCluster, StopMode};

use crate::cached::{fetch, until_read};
use crate::connect::Tls;
use crate::outside::{SUM, client, hearing, kept, listening, sum};
use crate::support::{Place, connect, run, until};

/// One test after another disturbs it.
static SMALL: SharedCluster = SharedCluster::new(|| {
    ClusterOptions::default()
        .with_setting("wal_level", "logical")
        .with_setting("max_replication_slots", "1")
        .with_setting("max_wal_senders", "2")
});

const SLOTS: &str = "SELECT count(*) FROM pg_replication_slots";

/// A database on a server that only the holder uses meanwhile.
fn small_place() -> (Place, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    (Place::on(SMALL.cluster()), turn)
}

/// Publishes the table, once those who came before are gone.
async fn publish(place: &Place) {
    until("the slot is free", || place.psql(SLOTS) == "0").await;
    outside::publish(&client(place).await, &["items"], Columns::All).await.unwrap();
}

fn config(place: &Place) -> DatabaseConfig {
    listening(place, place.url(place.primary().port()))
}

fn trouble(database: &Database) -> String {
    hearing(database).trouble.unwrap_or_default()
}

/// A change elsewhere is heard.
async fn is_heard(database: &Database, place: &Place) {
    until("it hears", || hearing(database).hears).await;
    kept(database, SUM).await;
    place.psql("INSERT INTO items (id, n) SELECT coalesce(max(id), 0) + 1, 1 FROM items");
    let truth: i64 = place.psql(SUM).parse().unwrap();
    until_read("it is heard", database, SUM, |rows| rows.row(0).unwrap().get::<_, i64>(0) == truth).await;
}

/// The server process that speaks to the listener.
fn sender(place: &Place) -> String {
    place.psql("SELECT pid FROM pg_stat_replication WHERE application_name = 'pgprime_changes'")
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

#[test]
fn what_is_written_while_the_server_ends_replication_is_seen() {
    let (place, _turn) = small_place();
    run(async {
        publish(&place).await;
        let database = connect(config(&place)).await;
        is_heard(&database, &place).await;
        kept(&database, SUM).await;
        let expected = sum(&database).await + 5;
        // Nobody is heard from the one to the other.
        place.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_replication; INSERT INTO items (id, n) VALUES (100, 5)",
        );
        until("it hears again", || hearing(&database).began_total == 2).await;
        assert_eq!(sum(&database).await, expected);
        assert_eq!(hearing(&database).lost_total, 1);
        is_heard(&database, &place).await;

        // Nothing is left behind.
        assert_eq!(place.psql(SLOTS), "1");
        drop(database);
        until("the slot is gone", || place.psql(SLOTS) == "0").await;
    });
}

#[test]
fn it_hears_again_after_a_restart_of_the_server() {
    let (place, _turn) = small_place();
    run(async {
        publish(&place).await;
        let database = connect(config(&place)).await;
        is_heard(&database, &place).await;
        for mode in [StopMode::Fast, StopMode::Immediate] {
            let began = hearing(&database).began_total;
            tokio::task::block_in_place(|| place.primary().restart(mode).unwrap());
            until("it hears again", || hearing(&database).began_total > began).await;
            is_heard(&database, &place).await;
        }
        assert_eq!(place.psql(SLOTS), "1");
    });
}

#[test]
fn a_server_that_falls_behind_is_not_relied_on() {
    let (place, _turn) = small_place();
    run(async {
        publish(&place).await;
        let database = connect(config(&place)).await;
        is_heard(&database, &place).await;
        kept(&database, SUM).await;
        let expected = sum(&database).await + 7;
        let sender = sender(&place);
        signal("-STOP", &sender);
        place.psql("INSERT INTO items (id, n) VALUES (100, 7)");
        until("it is noticed", || !hearing(&database).hears).await;
        let rows = fetch(&database, SUM).await;
        assert_eq!(rows.row(0).unwrap().get::<_, i64>(0), expected);
        assert_eq!(rows.not_kept(), Some("writers outside are not heard at this moment"));
        assert!(trouble(&database).contains("lags behind"), "{}", trouble(&database));

        // It goes on, and has missed nothing.
        signal("-CONT", &sender);
        until("it has caught up", || hearing(&database).hears).await;
        assert_eq!(sum(&database).await, expected);
        let report = hearing(&database);
        assert_eq!((report.began_total, report.lost_total, report.behind_total), (1, 0, 1));
        is_heard(&database, &place).await;
    });
}

#[test]
fn a_slot_that_is_not_to_be_had_is_waited_for() {
    let (place, _turn) = small_place();
    run(async {
        publish(&place).await;
        place.psql("SELECT pg_create_logical_replication_slot('taken', 'pgoutput')");
        let database = connect(config(&place)).await;
        assert!(trouble(&database).contains("raise max_replication_slots"), "{}", trouble(&database));
        assert!(fetch(&database, SUM).await.not_kept().is_some());
        place.psql("SELECT pg_drop_replication_slot('taken')");
        is_heard(&database, &place).await;
        assert_eq!(hearing(&database).trouble, None);
    });
}

#[test]
fn transactions_in_progress_are_not_waited_for_at_the_start() {
    let (place, _turn) = small_place();
    run(async {
        publish(&place).await;
        let writer = client(&place).await;
        writer.batch_execute("BEGIN; INSERT INTO items (id, n) VALUES (1, 3)").await.unwrap();
        let mut config = config(&place);
        config.connect_timeout = std::time::Duration::from_secs(1);
        let database = connect(config.clone()).await;
        assert!(trouble(&database).contains("transactions in progress"), "{}", trouble(&database));
        // Whoever gives up leaves nothing, although the server would go on waiting.
        drop(database);
        until("the slot is free", || place.psql(SLOTS) == "0").await;

        let database = connect(config).await;
        writer.batch_execute("COMMIT").await.unwrap();
        is_heard(&database, &place).await;
    });
}

#[test]
fn a_role_that_may_not_is_told() {
    let (place, _turn) = small_place();
    run(async {
        publish(&place).await;
        place.psql(
            "DO $$ BEGIN IF to_regrole('no_sender') IS NULL THEN CREATE ROLE no_sender LOGIN; END IF; END $$; \
             ALTER ROLE no_sender NOREPLICATION; GRANT ALL ON ALL TABLES IN SCHEMA public TO no_sender;",
        );
        let url = place.url(place.primary().port()).replace("postgres:password", "no_sender:password");
        let database = connect(listening(&place, url.clone())).await;
        assert!(trouble(&database).contains("ALTER ROLE … REPLICATION"), "{}", trouble(&database));
        assert!(!trouble(&database).contains("password"), "{}", trouble(&database));
        let asking = pgprime_client::connect(&url, std::time::Duration::from_secs(10)).await.unwrap().client;
        let needs = outside::publication_needs(&asking).await.unwrap();
        assert_eq!(needs, [outside::Need::Role("no_sender".to_owned())]);
        place.psql("ALTER ROLE no_sender REPLICATION");
        is_heard(&database, &place).await;
        let needs = outside::publication_needs(&asking).await.unwrap();
        assert_eq!(needs, [outside::Need::Slots]);
    });
}

#[test]
fn nobody_waits_for_the_listener_as_for_a_standby() {
    let (place, _turn) = small_place();
    run(async {
        publish(&place).await;
        let set = |names: &str| {
            place.psql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
            place.primary().reload().unwrap();
        };
        let database = connect(config(&place)).await;
        is_heard(&database, &place).await;
        set("*");
        until("it is noticed", || trouble(&database).contains("synchronous_standby_names")).await;
        until("nothing is in its place", || place.psql("SELECT count(*) FROM pg_stat_replication") == "0")
            .await;
        set("");
        is_heard(&database, &place).await;
    });
}

#[test]
fn it_is_heard_over_tls_with_a_password() {
    run(async {
        let tls = Tls::get();
        let node = tls.node;
        let place = Place::on(tls.cluster());
        place.psql(
            "ALTER ROLE with_password REPLICATION; GRANT ALL ON ALL TABLES IN SCHEMA public TO with_password",
        );
        outside::publish(&owner(&place).await, &["items"], Columns::All).await.unwrap();
        let ca = tls.file("ca.crt");
        for (password, parameters) in [
            ("right password", "sslmode=disable".to_owned()),
            ("right password", "sslmode=prefer".to_owned()),
            ("right password", format!("sslmode=verify-full sslrootcert={ca} channel_binding=require")),
        ] {
            let url = format!(
                "host=db.example hostaddr=127.0.0.1 port={} user=with_password dbname={} password='{password}' {parameters}",
                node.port(),
                place.name
            );
            let mut config = listening(&place, url.clone());
            config.url = url;
            let database = connect(config).await;
            assert!(hearing(&database).publication_for_ms.is_some(), "{parameters}: {}", trouble(&database));
            let is_encrypted = place.psql(&format!(
                "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_replication r USING (pid) JOIN pg_replication_slots p \
                 ON p.active_pid = r.pid WHERE p.database = '{}'",
                place.name
            ));
            assert_eq!(is_encrypted == "t", !parameters.contains("disable"), "{parameters}");
            is_heard(&database, &place).await;
            drop(database);
            until("the session is gone", || {
                place.psql(&format!("{SLOTS} WHERE database = '{}'", place.name)) == "0"
            })
            .await;
        }
    });
}

/// Over the socket, where everybody is let in.
async fn owner(place: &Place) -> tokio_postgres::Client {
    let url = place.primary().socket_url(&place.name);
    pgprime_client::connect(&url, std::time::Duration::from_secs(10)).await.unwrap().client
}
