//! Cancel requests: they reach the query they are meant for, wherever it is, and nothing else.

use pgprime_wire::frontend::encode;
use pgprime_wire::startup::{self, CancelKey};

use crate::support::{Raw, Setup, TestPooler, eventually};

fn packet(code_and_key: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + code_and_key.len()).unwrap();
    [&length.to_be_bytes(), code_and_key].concat()
}

/// Sends a cancel request and waits until the pooler has taken it.
fn cancel(pooler: &TestPooler, key: &CancelKey) {
    let mut request = Vec::new();
    startup::encode_cancel(&mut request, key);
    let mut connection = pooler.connect();
    connection.send(&request);
    assert_eq!(connection.until_closed(), [], "a cancel request is not answered");
}

#[test]
fn wrong_keys_cancel_nothing() {
    const CODE: [u8; 4] = 80_877_102_u32.to_be_bytes();
    let pooler = Setup::new().workers(3).start();
    let mut client = pooler.client();
    let key = client.key.clone().unwrap();
    client.start_query("SELECT pg_sleep(0.5), 'done'");
    let process = key.process_id.to_be_bytes();
    let mut wrong = key.secret.clone();
    wrong[3] ^= 1;
    for secret in [&wrong[..], b"", b"\0", b"abc", &[0; 5], &[0; 256], &[0; 257], &[0; 1000]] {
        let mut connection = pooler.connect();
        connection.send(&packet(&[&CODE[..], &process, secret].concat()));
        assert!(connection.until_closed().iter().all(|message| message.error().is_some()));
    }
    for worker in 0..=255_u32 {
        let process_id = ((key.process_id & !0xff) | worker) ^ 0x0100;
        cancel(&pooler, &CancelKey { process_id, secret: key.secret.clone() });
    }
    let reply = client.reply();
    assert_eq!(reply.rows, [[Some(String::new()), Some("done".into())]]);
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn the_right_key_cancels_that_query_only() {
    let pooler = Setup::new().workers(3).start();
    let (mut client, mut neighbour) = (pooler.client(), pooler.client());
    let key = client.key.clone().unwrap();
    client.start_query("SELECT pg_sleep(60) /* to be cancelled */");
    neighbour.start_query("SELECT pg_sleep(0.3), 'done'");
    let mut watcher = pooler.client();
    let running = "SELECT count(*) FROM pg_stat_activity \
                   WHERE query LIKE '%/* to be cancelled */' AND state = 'active' AND pid <> pg_backend_pid()";
    eventually("the query runs", || watcher.value(running) != "0");
    cancel(&pooler, &key);
    let reply = client.reply();
    assert_eq!((reply.sqlstate(), reply.status), ("57014", Some('I')));
    assert_eq!(neighbour.reply().rows[0][1].as_deref(), Some("done"));
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn a_query_that_waits_for_a_server_is_cancelled_before_it_has_one() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("default_pool_size", 1).workers(workers).start();
        let mut holder = pooler.client();
        holder.query("BEGIN");
        let mut console = pooler.console();
        let mut simple = pooler.client();
        simple.start_query("SELECT 'never runs'");
        let mut extended = pooler.client();
        extended.tell(|out| {
            encode::parse(out, b"", b"SELECT 'never runs'", &[]);
            encode::bind_text(out, b"", b"", &[]);
            encode::execute(out, b"", 0);
            encode::sync(out);
            encode::query(out, b"SELECT 'the next one'");
        });
        eventually("both wait", || console.pool("db", "app", "cl_waiting") == 2);
        for client in [&mut simple, &mut extended] {
            cancel(&pooler, &client.key.clone().unwrap());
            let reply = client.reply();
            assert_eq!((reply.tags.as_str(), reply.sqlstate()), ("EZ", "57014"));
        }
        eventually("the next one waits", || console.pool("db", "app", "cl_waiting") == 1);
        holder.query("COMMIT");
        assert_eq!(extended.reply().value(), "the next one");
        assert_eq!(simple.value("SELECT 'well'"), "well");
    }
}

/// Cancels again and again while short queries of two clients share one server. Only the one whose key is used may
/// ever see an error, and every answer is its own.
#[test]
fn a_cancel_request_that_comes_late_hits_nobody_else() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("default_pool_size", 1).workers(workers).start();
        let (mut target, mut neighbour) = (pooler.client(), pooler.client());
        let key = target.key.clone().unwrap();
        for turn in 0..150 {
            target.start_query(&format!("SELECT {turn}"));
            neighbour.start_query(&format!("SELECT {turn} + 1000"));
            cancel(&pooler, &key);
            let reply = target.reply();
            if reply.errors.is_empty() {
                assert_eq!(reply.value(), turn.to_string());
            } else {
                assert_eq!((reply.sqlstate(), reply.status), ("57014", Some('I')));
            }
            let reply = neighbour.reply();
            assert!(reply.errors.is_empty(), "turn {turn}: {reply:?}");
            assert_eq!(reply.value(), (turn + 1000).to_string());
        }
    }
}

#[test]
fn cancelling_an_idle_client_or_transaction_does_nothing() {
    let pooler = Setup::new().set("default_pool_size", 1).workers(3).start();
    let mut client = pooler.client();
    let key = client.key.clone().unwrap();
    client.value("SELECT 1");
    cancel(&pooler, &key);
    client.query("BEGIN");
    cancel(&pooler, &key);
    assert_eq!(client.value("SELECT 'unharmed'"), "unharmed");
    assert_eq!(client.query("COMMIT").status, Some('I'));
    let gone: CancelKey = key;
    drop(client);
    let mut other: Raw = pooler.client();
    cancel(&pooler, &gone);
    assert_eq!(other.value("SELECT 'unharmed'"), "unharmed");
}
