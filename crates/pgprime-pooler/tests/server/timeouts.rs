//! How long things may last. Times are short here; each test waits for what must happen, and checks that it did not
//! happen too early.

use std::time::{Duration, Instant};

use pgprime_wire::frontend::encode;

use crate::support::{Raw, Setup, TestPooler, cluster, eventually};

/// Closed with this error, and not before this time.
#[track_caller]
fn check_ended(client: &mut Raw, since: Instant, at_least: f64, sqlstate: &str, words: &str) {
    let (found, text) = client.last_error().expect("an error before the end");
    assert!(found == sqlstate && text.contains(words), "{found} {text}");
    assert!(since.elapsed().as_secs_f64() >= at_least, "after {:?} already", since.elapsed());
}

#[test]
fn a_query_waits_for_a_server_only_so_long() {
    for workers in [1, 3] {
        let pooler = Setup::new()
            .set("default_pool_size", 1)
            .set("query_wait_timeout", "0.5")
            .database("db", "")
            .database("patient", "query_wait_timeout=60")
            .workers(workers)
            .start();
        let mut holder = pooler.client();
        holder.query("BEGIN");
        let mut waiting = pooler.client();
        let since = Instant::now();
        waiting.start_query("SELECT 1");
        check_ended(&mut waiting, since, 0.5, "57014", "query_wait_timeout");
        assert_eq!(holder.query("COMMIT").status, Some('I'));
        let mut patient_holder = pooler.client_of("patient", "app");
        patient_holder.query("BEGIN");
        let mut patient = pooler.client_of("patient", "app");
        patient.start_query("SELECT 'patient'");
        std::thread::sleep(Duration::from_millis(900));
        assert!(patient.is_silent());
        patient_holder.query("COMMIT");
        assert_eq!(patient.reply().value(), "patient");
    }
}

#[test]
fn a_waiting_client_is_told_that_it_waits() {
    let pooler = Setup::new().set("default_pool_size", 1).set("query_wait_notify", 1).start();
    let mut holder = pooler.client();
    holder.query("BEGIN");
    let mut waiting = pooler.client();
    waiting.start_query("SELECT 'after all'");
    let notice = waiting.message().expect("a notice");
    assert_eq!(notice.tag, b'N');
    holder.query("COMMIT");
    let reply = waiting.reply();
    assert_eq!((reply.value(), reply.tags.as_str()), ("after all", "TDCZ"));
}

fn is_running(marker: &str) -> bool {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{marker}' || '%' AND pid <> pg_backend_pid()"
    );
    cluster().primary().psql("postgres", &sql).unwrap() != "0"
}

#[test]
fn a_query_runs_only_so_long_and_is_stopped_on_the_server() {
    for workers in [1, 3] {
        let pooler = Setup::new()
            .set("query_timeout", "0.5")
            .set("default_pool_size", 1)
            .user("other", "query_timeout=60")
            .workers(workers)
            .start();
        let marker = format!("slow marker {workers}");
        let mut client = pooler.client();
        assert_eq!(client.value("SELECT 1"), "1");
        let since = Instant::now();
        client.start_query(&format!("SELECT pg_sleep(60) /* {marker} */"));
        check_ended(&mut client, since, 0.5, "57014", "query_timeout");
        eventually("the query is over on the server", || !is_running(&marker));
        pooler.check_others();
        let mut patient = pooler.client_of("db", "other");
        assert!(patient.query("SELECT pg_sleep(0.9)").errors.is_empty());
        // A transaction of many short queries is no long query.
        let mut steady = pooler.client();
        steady.query("BEGIN");
        for _ in 0..4 {
            assert!(steady.query("SELECT pg_sleep(0.2)").errors.is_empty());
        }
        assert_eq!(steady.query("COMMIT").status, Some('I'));
    }
}

#[test]
fn an_idle_transaction_lasts_only_so_long() {
    for workers in [1, 3] {
        let pooler = Setup::new()
            .set("idle_transaction_timeout", "0.5")
            .set("default_pool_size", 1)
            .workers(workers)
            .start();
        let mut client = pooler.client();
        assert_eq!(client.query("BEGIN").status, Some('T'));
        // Busy is not idle.
        assert!(client.query("SELECT pg_sleep(0.8)").errors.is_empty());
        check_ended(&mut client, Instant::now(), 0.45, "25P03", "idle_transaction_timeout");
        pooler.check_others();
        let mut failed = pooler.client();
        failed.query("BEGIN");
        assert_eq!(failed.query("SELECT 1/0").status, Some('E'));
        check_ended(&mut failed, Instant::now(), 0.45, "25P03", "idle_transaction_timeout");
        let mut idle = pooler.client();
        idle.value("SELECT 1");
        std::thread::sleep(Duration::from_millis(900));
        assert_eq!(idle.value("SELECT 'still here'"), "still here");
    }
}

#[test]
fn messages_without_an_answer_do_not_keep_a_transaction_open() {
    let pooler = Setup::new().set("idle_transaction_timeout", "0.5").start();
    for write in
        [|out: &mut Vec<u8>| encode::copy_data(out, b"x"), |out: &mut Vec<u8>| encode::copy_done(out)]
    {
        let mut client = pooler.client();
        client.query("BEGIN");
        client.tell(write);
        check_ended(&mut client, Instant::now(), 0.4, "25P03", "idle_transaction_timeout");
    }
}

#[test]
fn a_transaction_lasts_only_so_long_however_busy() {
    let pooler = Setup::new()
        .set("transaction_timeout", "0.7")
        .set("default_pool_size", 1)
        .user("other", "transaction_timeout=60")
        .start();
    let mut client = pooler.client();
    let since = Instant::now();
    client.query("BEGIN");
    let reply = loop {
        let reply = client.query("SELECT pg_sleep(0.1)");
        if reply.status.is_none() {
            break reply;
        }
        assert!(since.elapsed() < Duration::from_secs(20));
    };
    assert_eq!(reply.sqlstate(), "25P04", "{reply:?}");
    assert!(since.elapsed().as_secs_f64() >= 0.7);
    pooler.check_others();
    let mut patient = pooler.client_of("db", "other");
    patient.query("BEGIN");
    assert!(patient.query("SELECT pg_sleep(1)").errors.is_empty());
    assert_eq!(patient.query("COMMIT").status, Some('I'));
}

#[test]
fn an_idle_client_stays_only_so_long() {
    for mode in ["transaction", "session"] {
        let pooler = Setup::new()
            .set("client_idle_timeout", 1)
            .set("pool_mode", mode)
            .user("other", "client_idle_timeout=60")
            .start();
        let mut patient = pooler.client_of("db", "other");
        let mut client = pooler.client();
        client.value("SELECT 1");
        check_ended(&mut client, Instant::now(), 0.95, "57P05", "client_idle_timeout");
        let mut busy = pooler.client();
        assert!(busy.query("SELECT pg_sleep(2.5)").errors.is_empty());
        assert_eq!(busy.value("SELECT 'busy is not idle'"), "busy is not idle");
        assert_eq!(patient.value("SELECT 1"), "1");
    }
}

fn process(pooler: &TestPooler) -> String {
    pooler.client().value("SELECT pg_backend_pid()")
}

#[test]
fn a_server_is_replaced_when_its_lifetime_is_over() {
    let pooler = Setup::new().set("server_lifetime", 1).set("default_pool_size", 1).start();
    let first = process(&pooler);
    assert_eq!(process(&pooler), first);
    let mut holder = pooler.client();
    holder.query("BEGIN");
    let own = holder.value("SELECT pg_backend_pid()");
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(holder.value("SELECT pg_backend_pid()"), own, "not amid a transaction");
    assert_eq!(holder.query("COMMIT").status, Some('I'));
    assert_ne!(process(&pooler), own);
}

#[test]
fn a_lifetime_of_nothing_is_one_use() {
    let pooler = Setup::new().set("server_lifetime", 0).set("default_pool_size", 1).start();
    let mut client = pooler.client();
    let processes: Vec<String> = (0..3).map(|_| client.value("SELECT pg_backend_pid()")).collect();
    assert!(processes[0] != processes[1] && processes[1] != processes[2], "{processes:?}");
}

#[test]
fn a_database_may_have_a_lifetime_of_its_own() {
    let pooler = Setup::new().database("db", "server_lifetime=1").start();
    let first = process(&pooler);
    eventually("it is replaced", || process(&pooler) != first);
}

#[test]
fn unused_servers_are_closed_down_to_the_minimum() {
    for (minimum, left) in [(0, 0), (1, 1)] {
        let pooler = Setup::new()
            .set("server_idle_timeout", "0.5")
            .set("min_pool_size", minimum)
            .set("default_pool_size", 3)
            .workers(3)
            .start();
        let mut clients: Vec<Raw> = (0..3).map(|_| pooler.client()).collect();
        for client in &mut clients {
            client.query("BEGIN");
        }
        for client in &mut clients {
            client.query("COMMIT");
        }
        let mut console = pooler.console();
        eventually("the rest is closed", || console.pool("db", "app", "sv_idle") == left);
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(console.pool("db", "app", "sv_idle"), left);
        assert_eq!(clients[0].value("SELECT 1"), "1");
    }
}
