//! psql through the pooler, and psql on its console.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::harness::{Pooler, Setup, cluster, database_behind_pooler, psql, stderr_of, stdout_of};

#[test]
fn queries_errors_notices_and_several_statements() {
    let (database, pooler) = database_behind_pooler("psql", 2);
    let run = |commands: &[&str]| pooler.psql(&database, commands);

    assert_eq!(stdout_of(&run(&["SELECT 1 + 1"])), "2");
    assert_eq!(stdout_of(&run(&["SELECT 1; SELECT 'two' AS b; SELECT NULL, 3"])), "1\ntwo\n|3");
    assert_eq!(
        stdout_of(&run(&["CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (2)", "TABLE t"])),
        "CREATE TABLE\nINSERT 0 2\n1\n2"
    );

    let failed = run(&["SELECT 1; SELECT 1 / 0; SELECT 2"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr_of(&failed).contains("division by zero"), "{}", stderr_of(&failed));

    let notice =
        run(&["DO $$ BEGIN RAISE NOTICE 'mind the gap'; RAISE WARNING 'careful'; END $$", "SELECT 7"]);
    assert_eq!(stdout_of(&notice), "DO\n7");
    assert!(stderr_of(&notice).contains("NOTICE:  mind the gap"));
    assert!(stderr_of(&notice).contains("WARNING:  careful"));

    let rolled_back = run(&["BEGIN", "INSERT INTO t VALUES (3)", "ROLLBACK", "SELECT count(*) FROM t"]);
    assert_eq!(stdout_of(&rolled_back), "BEGIN\nINSERT 0 1\nROLLBACK\n2");
}

/// An error in the middle leaves the session as it was: the next statement works, on a clean server.
#[test]
fn a_session_goes_on_after_errors() {
    let (database, pooler) = database_behind_pooler("psql_errors", 1);
    let mut script = String::from("\\set ON_ERROR_STOP 0\n");
    for number in 0..100 {
        script.push_str(&format!(
            "SELECT no_such_column;\nBEGIN;\nSELECT 1/0;\nSELECT 5;\nROLLBACK;\nSELECT {number};\n"
        ));
    }
    let output = feed(psql().arg("--dbname").arg(pooler.conninfo(&database)), script);
    let numbers: Vec<String> =
        stdout_of(&output).lines().filter(|line| line.parse::<u32>().is_ok()).map(String::from).collect();
    assert_eq!(numbers, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    let errors = stderr_of(&output);
    assert_eq!(errors.matches("division by zero").count(), 100);
    assert_eq!(errors.matches("current transaction is aborted").count(), 100);
}

#[test]
fn copy_of_100_000_rows_both_ways() {
    let (database, pooler) = database_behind_pooler("psql_copy", 2);
    let there = pooler.dir().join("there.csv");
    let back = pooler.dir().join("back.csv");
    let rows = (0..100_000).map(|row| format!("{row},text \"\"{row}\"\" é,{}\n", row * 7 % 1000));
    let rows = rows.map(|row| row.replace("text \"\"", "\"text \"\"").replace(" é,", " é\","));
    fs::write(&there, rows.collect::<String>()).unwrap();
    let output = pooler.psql(
        &database,
        &[
            "CREATE TABLE t (id int, word text, rest int)",
            &format!("\\copy t FROM '{}' CSV", there.display()),
            &format!("\\copy (SELECT * FROM t ORDER BY id) TO '{}' CSV", back.display()),
            "SELECT count(*), sum(id), sum(rest), count(DISTINCT word) FROM t",
            "\\copy t FROM '/dev/null' CSV",
        ],
    );
    let expected = "CREATE TABLE\nCOPY 100000\nCOPY 100000\n100000|4999950000|49950000|100000\nCOPY 0";
    assert_eq!(stdout_of(&output), expected);
    let direct = "SELECT md5(string_agg(t::text, E'\\n' ORDER BY id)) FROM t";
    let checksum = cluster().primary().psql(&database, direct).unwrap();
    assert_eq!(stdout_of(&pooler.psql(&database, &[direct])), checksum);
    let again = format!("CREATE TABLE u (LIKE t); \\copy u FROM '{}' CSV", back.display());
    let again: Vec<&str> = again.split("; ").collect();
    stdout_of(&pooler.psql(&database, &again));
    assert_eq!(
        cluster()
            .primary()
            .psql(&database, &direct.replace("FROM t", "FROM u").replace("t::text", "u::text"))
            .unwrap(),
        checksum
    );
}

#[test]
fn a_copy_that_fails_leaves_the_session_usable() {
    let (database, pooler) = database_behind_pooler("psql_copy_fail", 1);
    let file = pooler.dir().join("rows.csv");
    let rows = (0..50_000).map(|row| format!("{row}\n")).collect::<String>();
    fs::write(&file, rows + "not a number\n" + &"9\n".repeat(50_000)).unwrap();
    let script = format!(
        "\\set ON_ERROR_STOP 0\nCREATE TABLE t (id int);\n\\copy t FROM '{}' CSV\nSELECT count(*) FROM t;\n",
        file.display()
    );
    let output = feed(psql().arg("--dbname").arg(pooler.conninfo(&database)), script.repeat(3));
    assert_eq!(stderr_of(&output).matches("invalid input syntax for type integer").count(), 3);
    assert_eq!(stdout_of(&output), "CREATE TABLE\n0\n0\n0");
}

#[test]
fn values_of_50_megabytes_both_ways() {
    const BYTES: usize = 50_000_000;
    let (database, pooler) = database_behind_pooler("psql_large", 1);
    let text = pooler.dir().join("text.sql");
    let run = |sql: &str| stdout_of(&pooler.psql(&database, &[sql]));
    run("CREATE TABLE t (words text, bytes bytea)");

    let words = "0123456789".repeat(BYTES / 10);
    fs::write(&text, format!("INSERT INTO t (words) VALUES ('{words}');\n")).unwrap();
    stdout_of(
        &psql().arg("--dbname").arg(pooler.conninfo(&database)).arg("--file").arg(&text).output().unwrap(),
    );
    assert_eq!(
        cluster()
            .primary()
            .psql(&database, &format!("SELECT words = repeat('0123456789', {}) FROM t", BYTES / 10))
            .unwrap(),
        "t"
    );
    assert!(run("SELECT words FROM t") == words, "the text came back changed");

    let hex = "00ff7f80".repeat(BYTES / 4);
    fs::write(&text, format!("UPDATE t SET bytes = '\\x{hex}';\n")).unwrap();
    stdout_of(
        &psql().arg("--dbname").arg(pooler.conninfo(&database)).arg("--file").arg(&text).output().unwrap(),
    );
    assert_eq!(
        run("SELECT length(bytes), md5(bytes) = md5(decode(repeat('00ff7f80', 12500000), 'hex')) FROM t"),
        "50000000|t"
    );
    assert!(run("SELECT bytes FROM t") == format!("\\x{hex}"), "the bytes came back changed");
    assert_eq!(run("SELECT 'still well'"), "still well");
}

#[test]
fn listen_and_notify_in_session_mode() {
    let database = cluster().test_database("psql_listen").unwrap();
    let setup = Setup::new().database(cluster().primary(), &database, "").set("pool_mode", "session");
    let pooler = Pooler::start(setup);
    let mut command = psql();
    command.arg("--dbname").arg(pooler.conninfo(&database)).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut listener = command.spawn().unwrap();
    let mut input = listener.stdin.take().unwrap();
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    writeln!(input, "LISTEN news;\n\\echo listening").unwrap();
    assert_eq!(
        lines.by_ref().find(|line| line.as_ref().unwrap() == "listening").unwrap().unwrap(),
        "listening"
    );

    stdout_of(
        &pooler.psql(&database, &["SELECT pg_notify('news', 'extra ' || n) FROM generate_series(1, 3) n"]),
    );
    writeln!(input, "SELECT 'done';").unwrap();
    drop(input);
    let heard: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(listener.wait().unwrap().success());
    assert_eq!(heard[0], "done");
    let notifications: Vec<&str> =
        heard[1..].iter().map(|line| line.split(" received").next().unwrap()).collect();
    assert_eq!(
        notifications,
        [
            r#"Asynchronous notification "news" with payload "extra 1""#,
            r#"Asynchronous notification "news" with payload "extra 2""#,
            r#"Asynchronous notification "news" with payload "extra 3""#
        ]
    );
}

#[test]
fn the_console_answers_psql() {
    let (database, pooler) = database_behind_pooler("psql_console", 3);
    assert_eq!(stdout_of(&pooler.psql(&database, &["SELECT 1"])), "1");
    for topic in [
        "STATS",
        "STATS_TOTALS",
        "STATS_AVERAGES",
        "TOTALS",
        "POOLS",
        "CLIENTS",
        "SERVERS",
        "SOCKETS",
        "ACTIVE_SOCKETS",
        "DATABASES",
        "USERS",
        "LISTS",
        "CONFIG",
        "STATE",
        "VERSION",
        "HELP",
    ] {
        // As \watch would, in one session.
        let topic = format!("SHOW {topic};");
        let output = pooler.psql("pgbouncer", &[topic.as_str(); 5]);
        assert!(output.status.success(), "{topic} {}", stderr_of(&output));
    }
    let pools = stdout_of(&pooler.psql("pgbouncer", &["SHOW POOLS"]));
    assert!(pools.lines().any(|line| line.starts_with(&format!("{database}|postgres|"))), "{pools}");
    let databases = stdout_of(&pooler.psql("pgbouncer", &["SHOW DATABASES"]));
    assert!(databases.contains(&database), "{databases}");
    let help = pooler.psql("pgbouncer", &["SHOW HELP"]);
    assert!(stderr_of(&help).contains("RECONNECT"), "{}", stderr_of(&help));

    let failed = pooler.psql("pgbouncer", &["SHOW NONSENSE"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr_of(&failed).contains("SHOW HELP"), "{}", stderr_of(&failed));
}

#[test]
fn pause_holds_queries_until_resume() {
    let (database, pooler) = database_behind_pooler("psql_pause", 2);
    assert_eq!(stdout_of(&pooler.psql(&database, &["SELECT 1"])), "1");
    assert_eq!(stdout_of(&pooler.psql("pgbouncer", &["PAUSE"])), "PAUSE");
    let mut held = psql();
    held.arg("--dbname").arg(pooler.conninfo(&database)).arg("--command").arg("SELECT 'after'");
    let held = held.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    crate::harness::wait_until("the query waits", || {
        let pools = stdout_of(&pooler.psql("pgbouncer", &["SHOW POOLS"]));
        pools.lines().any(|line| line.starts_with(&database) && line.split('|').nth(3) == Some("1"))
    });
    let servers = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    assert_eq!(cluster().primary().psql("postgres", &servers).unwrap(), "0", "PAUSE closes the servers");
    assert_eq!(stdout_of(&pooler.psql("pgbouncer", &["RESUME"])), "RESUME");
    assert_eq!(stdout_of(&held.wait_with_output().unwrap()), "after");
}

/// Runs a command with this text as its standard input.
fn feed(command: &mut Command, text: String) -> std::process::Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}
