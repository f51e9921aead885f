//! What the pooler measures of statements: each execution is counted once, in every protocol, whatever happens to it.

use std::time::Duration;

use pgprime_pooler::core::{CaptureSettings, MeasureSettings, Redaction};
use pgprime_wire::frontend::encode;
use pgprime_wire::startup;

use crate::support::{Raw, Reply, Setup, TestPooler, eventually, start_packet};

/// The figures of one statement.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    calls: u64,
    errors: u64,
}

fn counted(calls: u64, errors: u64) -> Counted {
    Counted { calls, errors }
}

fn shown(pooler: &TestPooler, command: &str) -> Reply {
    pooler.console_as("stats").run(command)
}

fn of_statement(pooler: &TestPooler, text: &str) -> Counted {
    let reply = shown(pooler, "SHOW STATEMENTS");
    if !reply.column("query").contains(&text) {
        return counted(0, 0);
    }
    let number = |column| reply.cell("query", text, column).parse().expect("a number");
    counted(number("calls"), number("errors"))
}

fn sum(reply: &Reply, column: &str) -> u64 {
    reply.column(column).iter().map(|value| value.parse::<u64>().expect("a number")).sum()
}

fn parse(out: &mut Vec<u8>, name: &str, text: &str) {
    encode::parse(out, name.as_bytes(), text.as_bytes(), &[0, 0]);
}

fn run(out: &mut Vec<u8>, name: &str, value: &str) {
    encode::bind_text(out, b"", name.as_bytes(), &[Some(value.as_bytes())]);
    encode::execute(out, b"", 0);
}

#[test]
fn simple_queries_are_one_statement_whatever_their_constants() {
    let pooler = Setup::new().start();
    let mut client = pooler.client();
    for number in 0..10 {
        client.query(&format!("SELECT  {number} /* {number} */, 'secret {number}'"));
    }
    assert_eq!(client.query("SELECT 1 / 0").sqlstate(), "22012");
    assert_eq!(client.query("SELEC 7").sqlstate(), "42601");
    client.query("SELECT 1; SELECT 2");
    client.query("");
    assert_eq!(of_statement(&pooler, "SELECT $1, $2"), counted(10, 0));
    assert_eq!(of_statement(&pooler, "SELECT $1 / $2"), counted(1, 1));
    assert_eq!(of_statement(&pooler, "SELEC $1"), counted(1, 1));
    assert_eq!(of_statement(&pooler, "SELECT $1; SELECT $2"), counted(1, 0));
    let all = shown(&pooler, "SHOW STATEMENTS");
    assert_eq!((sum(&all, "calls"), sum(&all, "errors")), (14, 2));
    assert!(all.rows.iter().flatten().flatten().all(|value| !value.contains("secret")), "{all:?}");
    assert!(all.column("since").iter().all(|since| since.ends_with(" UTC")));
    for command in ["SHOW APPLICATIONS", "SHOW USER_STATISTICS"] {
        let reply = shown(&pooler, command);
        assert_eq!((sum(&reply, "calls"), sum(&reply, "errors")), (14, 2), "{command}");
        assert_eq!(sum(&reply, "exec_us_total"), sum(&all, "exec_us_total"), "{command}");
    }
}

#[test]
fn the_extended_protocol_in_all_pooling_modes() {
    for mode in ["transaction", "session", "statement"] {
        let pooler = Setup::new().set("pool_mode", mode).start();
        let mut client = pooler.client();
        client.tell(|out| {
            parse(out, "double", "SELECT $1::int * 2");
            encode::sync(out);
        });
        client.reply();
        assert_eq!(of_statement(&pooler, "SELECT $1::int * $2"), counted(0, 0), "a Parse is no execution");
        // Named, pipelined behind one Sync and behind several.
        client.tell(|out| {
            run(out, "double", "1");
            run(out, "double", "2");
            encode::sync(out);
            run(out, "double", "3");
            encode::sync(out);
        });
        assert_eq!(client.reply().rows.len(), 2);
        assert_eq!(client.reply().rows.len(), 1);
        // Unnamed.
        for _ in 0..3 {
            client.tell(|out| {
                parse(out, "", "SELECT $1::int + 4711");
                run(out, "", "1");
                encode::sync(out);
            });
            assert_eq!(client.reply().value(), "4712");
        }
        assert_eq!(of_statement(&pooler, "SELECT $1::int * $2"), counted(3, 0), "{mode}");
        assert_eq!(of_statement(&pooler, "SELECT $1::int + $2"), counted(3, 0), "{mode}");
        // Flushed answers, each counted when it comes.
        client.tell(|out| {
            run(out, "double", "4");
            encode::flush(out);
        });
        while client.message().expect("an answer").tag != b'C' {}
        client.tell(|out| {
            run(out, "double", "5");
            encode::sync(out);
        });
        client.reply();
        assert_eq!(of_statement(&pooler, "SELECT $1::int * $2"), counted(5, 0), "{mode}");
    }
}

#[test]
fn errors_are_those_of_the_statement_that_failed() {
    for mode in ["transaction", "session"] {
        let pooler = Setup::new().set("pool_mode", mode).start();
        let mut client = pooler.client();
        client.tell(|out| {
            parse(out, "ok", "SELECT $1::text AS ok");
            parse(out, "half", "SELECT 1 / $1::int AS half");
            encode::sync(out);
        });
        client.reply();
        // The first is executed, the second fails, the third is skipped.
        client.tell(|out| {
            run(out, "ok", "1");
            run(out, "half", "0");
            run(out, "ok", "2");
            encode::sync(out);
        });
        assert_eq!(client.reply().sqlstate(), "22012");
        assert_eq!(of_statement(&pooler, "SELECT $1::text AS ok"), counted(1, 0), "{mode}");
        assert_eq!(of_statement(&pooler, "SELECT $2 / $1::int AS half"), counted(1, 1), "{mode}");
        // A value that does not read fails at Bind.
        client.tell(|out| {
            run(out, "half", "x");
            encode::sync(out);
        });
        assert_eq!(client.reply().sqlstate(), "22P02");
        assert_eq!(of_statement(&pooler, "SELECT $2 / $1::int AS half"), counted(2, 2), "{mode}");
        // Prepared only: no execution, but an error.
        client.tell(|out| {
            parse(out, "", "SELECT nothing FROM nowhere");
            encode::sync(out);
        });
        assert_eq!(client.reply().sqlstate(), "42P01");
        assert_eq!(of_statement(&pooler, "SELECT nothing FROM nowhere"), counted(0, 1), "{mode}");
        client.tell(|out| {
            parse(out, "", "SELECT nothing FROM nowhere");
            run(out, "", "");
            encode::sync(out);
        });
        client.reply();
        assert_eq!(of_statement(&pooler, "SELECT nothing FROM nowhere"), counted(1, 2), "{mode}");
        let all = shown(&pooler, "SHOW STATEMENTS");
        assert_eq!((sum(&all, "calls"), sum(&all, "errors")), (4, 4), "{mode}: {all:?}");
    }
}

#[test]
fn a_cursor_is_one_execution() {
    let pooler = Setup::new().start();
    let mut client = pooler.client();
    client.query("BEGIN");
    client.tell(|out| {
        parse(out, "", "SELECT generate_series(1, 10)");
        encode::bind_text(out, b"rows", b"", &[]);
        encode::execute(out, b"rows", 4);
        encode::sync(out);
    });
    client.reply();
    for _ in 0..2 {
        client.tell(|out| {
            encode::execute(out, b"rows", 4);
            encode::sync(out);
        });
        client.reply();
    }
    client.query("COMMIT");
    assert_eq!(of_statement(&pooler, "SELECT generate_series($1, $2)"), counted(1, 0));
    // One that is given up counts at the end of its transaction.
    client.query("BEGIN");
    client.tell(|out| {
        parse(out, "", "SELECT generate_series(1, 10)");
        encode::bind_text(out, b"rows", b"", &[]);
        encode::execute(out, b"rows", 4);
        encode::sync(out);
    });
    client.reply();
    client.query("COMMIT");
    assert_eq!(of_statement(&pooler, "SELECT generate_series($1, $2)"), counted(2, 0));
}

#[test]
fn what_is_cancelled_or_lost_is_an_execution_that_failed() {
    let pooler = Setup::new().start();
    let mut client = pooler.client();
    let key = client.key.clone().expect("a key");
    client.start_query("SELECT pg_sleep(60), 'cancelled'");
    let mut watcher = pooler.client();
    let runs =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'";
    let mut is_running = || watcher.value(runs) == "1";
    eventually("it runs", &mut is_running);
    pooler.connect().tell(|out| startup::encode_cancel(out, &key));
    assert_eq!(client.reply().sqlstate(), "57014");
    assert_eq!(of_statement(&pooler, "SELECT pg_sleep($1), $2"), counted(1, 1));
    client.start_query("SELECT pg_sleep(60), 'vanished'");
    eventually("it runs", is_running);
    drop(client);
    eventually("it is counted", || of_statement(&pooler, "SELECT pg_sleep($1), $2") == counted(2, 2));
    let mut client = pooler.client();
    client.query("SELECT pg_terminate_backend(pg_backend_pid())");
    assert_eq!(of_statement(&pooler, "SELECT pg_terminate_backend(pg_backend_pid())"), counted(1, 1));
}

#[test]
fn waits_are_counted_apart() {
    let pooler = Setup::new().set("default_pool_size", 1).start();
    let (mut holder, mut waiter) = (pooler.client(), pooler.client());
    holder.query("BEGIN");
    waiter.start_query("SELECT 'waits'");
    let mut console = pooler.console();
    eventually("it waits", || console.pool("db", "app", "cl_waiting") == 1);
    holder.query("SELECT pg_sleep(0.1)");
    holder.query("COMMIT");
    waiter.reply();
    let reply = shown(&pooler, "SHOW STATEMENTS");
    let number = |column| reply.cell("query", "SELECT $1", column).parse::<u64>().expect("a number");
    assert_eq!((number("calls"), number("waited")), (1, 1));
    assert!(number("wait_us_mean") >= 100_000 && number("wait_us_p99") >= 94_000, "{reply:?}");
    assert!(number("exec_us_max") < number("wait_us_mean"));
    let sleep = reply.cell("query", "SELECT pg_sleep($1)", "exec_us_p50").parse::<u64>().expect("a number");
    assert!(sleep >= 94_000, "{sleep}");
    assert_eq!(reply.cell("query", "SELECT pg_sleep($1)", "waited"), "0");
}

#[test]
fn repeats_with_the_statement_that_set_them_off() {
    let pooler = Setup::new().start();
    let mut client = pooler.client();
    client.query("SELECT generate_series(1, 25) AS id");
    for id in 1..=25 {
        client.query(&format!("SELECT {id} AS item"));
    }
    let reply = shown(&pooler, "SHOW REPEATS");
    assert_eq!(reply.rows.len(), 1, "{reply:?}");
    assert_eq!(reply.column("query_before"), ["SELECT generate_series($1, $2) AS id"]);
    assert_eq!(reply.cell("query", "SELECT $1 AS item", "executions"), "25");
    assert_eq!((reply.column("bursts"), reply.column("longest")), (vec!["1"], vec!["25"]));
}

#[test]
fn applications_and_users_on_several_workers() {
    let pooler = Setup::new().workers(3).start();
    let names = [("app", "web"), ("app", "jobs"), ("other", "web")];
    let mut clients: Vec<Raw> = (0..9)
        .map(|number| {
            let (user, application) = names[number % 3];
            let mut client = pooler.connect();
            client.send(&start_packet(&[
                ("user", user),
                ("database", "db"),
                ("application_name", application),
            ]));
            client.finish_login();
            client
        })
        .collect();
    for client in &mut clients {
        client.query("SELECT 'x'");
    }
    clients[0].query("SET application_name = 'renamed'");
    clients[0].query("SELECT 'x'");
    let applications = shown(&pooler, "SHOW APPLICATIONS");
    let of = |name| applications.cell("application_name", name, "calls").parse::<u64>().expect("a number");
    assert_eq!((of("web") + of("renamed"), of("jobs")), (8, 3), "{applications:?}");
    assert!(of("renamed") >= 1);
    let users = shown(&pooler, "SHOW USER_STATISTICS");
    assert_eq!((users.cell("user", "app", "calls"), users.cell("user", "other", "calls")), ("8", "3"));
    let statements = shown(&pooler, "SHOW STATEMENTS");
    assert_eq!(statements.column("query").iter().filter(|text| **text == "SELECT $1").count(), 2);
    assert!(statements.column("application_names").contains(&"web"));
    pooler.console().run("RESET STATEMENTS");
    eventually("it is reset", || sum(&shown(&pooler, "SHOW STATEMENTS"), "calls") == 0);
    clients[1].query("SELECT 'x'");
    assert_eq!(sum(&shown(&pooler, "SHOW STATEMENTS"), "calls"), 1);
    let refused = pooler.console_as("stats").error("RESET STATEMENTS");
    assert_eq!(refused.0, "42501");
}

#[test]
fn many_statements_do_not_take_more_room() {
    let pooler = Setup::new().start();
    let mut client = pooler.client();
    for number in 0..6_000 {
        client.tell(|out| encode::query(out, format!("SELECT 1 AS c{number}").as_bytes()));
        if number % 100 == 99 {
            (0..100).for_each(|_| drop(client.reply()));
        }
    }
    let reply = shown(&pooler, "SHOW STATEMENTS");
    assert!(reply.rows.len() <= 5_001, "{}", reply.rows.len());
    assert_eq!(sum(&reply, "calls"), 6_000);
    assert_eq!(reply.cell("query", "(other)", "calls"), "1000");
}

#[test]
fn it_can_be_switched_off() {
    let pooler = Setup::new().measure(MeasureSettings { is_on: false, capture: None }).start();
    let mut client = pooler.client();
    client.query("SELECT 1 / 0");
    client.tell(|out| {
        parse(out, "", "SELECT 1");
        encode::bind_text(out, b"", b"", &[]);
        encode::execute(out, b"", 0);
        encode::sync(out);
    });
    client.reply();
    for command in ["SHOW STATEMENTS", "SHOW APPLICATIONS", "SHOW USER_STATISTICS", "SHOW REPEATS"] {
        assert!(shown(&pooler, command).rows.is_empty(), "{command}");
    }
}

#[test]
fn parameters_of_slow_executions_only_when_asked_for_and_only_for_administrators() {
    let slow = |client: &mut Raw, value: &str| {
        client.tell(|out| {
            encode::parse(out, b"", b"SELECT $1::text, pg_sleep(0.05)", &[0, 0]);
            run(out, "", value);
            encode::sync(out);
        });
        client.reply();
        client.query("SELECT 'plain secret', pg_sleep(0.05)");
        client.query("SELECT 'fast secret'");
    };
    let off = Setup::new().start();
    slow(&mut off.client(), "bound secret");
    assert!(off.console().run("SHOW PARAMETERS").rows.is_empty());

    for redaction in [Redaction::Shown, Redaction::Redacted] {
        let capture = CaptureSettings { threshold: Duration::from_millis(40), redaction };
        for mode in ["transaction", "session"] {
            let measure = MeasureSettings { is_on: true, capture: Some(capture) };
            let pooler = Setup::new().set("pool_mode", mode).measure(measure).start();
            slow(&mut pooler.client(), "bound secret");
            assert_eq!(pooler.console_as("stats").error("SHOW PARAMETERS").0, "42501");
            let reply = pooler.console().run("SHOW PARAMETERS");
            assert_eq!(reply.rows.len(), 2, "{reply:?}");
            let of = |query, column| reply.cell("query", query, column);
            let (bound, plain) = ("SELECT $1::text, pg_sleep($2)", "SELECT $1, pg_sleep($2)");
            if redaction == Redaction::Shown {
                assert_eq!(of(bound, "parameters"), "[\"bound secret\", \"0.05\"]");
                assert_eq!(of(plain, "parameters"), "[\"plain secret\", \"0.05\"]");
                assert_eq!((of(bound, "complete"), of(plain, "complete")), ("1", "1"));
            } else {
                assert_eq!(of(bound, "parameters"), "[\"(text, 12 bytes)\", \"(constant, 4 bytes)\"]");
                assert_eq!(of(bound, "complete"), "0");
            }
            // No more than the last five of a statement.
            let mut client = pooler.client();
            (0..7).for_each(|number| slow(&mut client, &format!("v{number}")));
            let kept = pooler.console().run("SHOW PARAMETERS");
            assert_eq!(kept.column("query").iter().filter(|text| **text == bound).count(), 5);
        }
    }
}
