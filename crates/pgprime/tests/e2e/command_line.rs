//! The command line, under the binary's own name and under PgBouncer's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::harness::{Pooler, Setup, cell, cluster, psql, run, stderr_of, stdout_of, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_pgprime");

/// The binary under the name `pgbouncer`, in a folder of its own.
fn pgbouncer(dir: &Path) -> PathBuf {
    let link = dir.join("pgbouncer");
    symlink(BINARY, &link).unwrap();
    link
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn help_and_version() {
    let dir = TempDir::new().unwrap();
    let pgbouncer = pgbouncer(dir.path());
    for (program, argument, expected) in [
        (Path::new(BINARY), "--help", "pooler"),
        (Path::new(BINARY), "--version", env!("CARGO_PKG_VERSION")),
        (&pgbouncer, "--help", "Usage: pgbouncer"),
        (&pgbouncer, "-h", "--daemon"),
        (&pgbouncer, "--version", "PgBouncer 1."),
        (&pgbouncer, "-V", "PgBouncer 1."),
    ] {
        let text = stdout_of(&output(Command::new(program).arg(argument)));
        assert!(text.contains(expected), "{argument}: {text}");
    }
    let help = stdout_of(&output(Command::new(BINARY).args(["pooler", "--help"])));
    for option in ["--quiet", "--verbose", "--daemon", "--user"] {
        assert!(help.contains(option), "{help}");
    }
}

/// Wrong usage and wrong configuration: what is wrong, where, and what was probably meant.
#[test]
fn what_is_wrong_is_said() {
    let dir = TempDir::new().unwrap();
    let pgbouncer = pgbouncer(dir.path());
    let config = dir.path().join("wrong.ini");
    let at = |line: u32| format!("wrong.ini:{line}");
    for (text, expected) in [
        ("[databases]\n[pgbouncer]\npool_mod = session\n", [at(3), "did you mean pool_mode?".into()]),
        ("[databases]\n[pgbouncer]\n\ndefault_pool_size = many\n", [at(4), "default_pool_size".into()]),
        ("[databases]\nx = host=a prt=1\n[pgbouncer]\n", [at(2), "did you mean port?".into()]),
        ("[databases]\n[pgbuncer]\n", [at(2), "pgbuncer".into()]),
        ("[databases]\n[pgbouncer]\n%include nowhere.ini\n", [at(3), "nowhere.ini".into()]),
        (
            "[databases]\n[pgbouncer]\nlisten_addr =\nunix_socket_dir =\n",
            ["listen".into(), "unix_socket_dir".into()],
        ),
        (
            "[databases]\n[pgbouncer]\nlisten_addr = 127.0.0.1\nauth_file = /nowhere/users\n",
            ["auth_file".into(), "/nowhere/users".into()],
        ),
    ] {
        fs::write(&config, text).unwrap();
        for (command, code) in
            [(Command::new(BINARY).arg("pooler").arg(&config), 2), (Command::new(&pgbouncer).arg(&config), 1)]
        {
            let output = output(command);
            assert_eq!(output.status.code(), Some(code), "{text}{}", stderr_of(&output));
            for part in &expected {
                assert!(
                    stderr_of(&output).contains(part),
                    "{text}: expected {part} in: {}",
                    stderr_of(&output)
                );
            }
        }
    }
    for (arguments, code) in [
        (vec![], 2),
        (vec!["pooler"], 2),
        (vec!["pooler", "/nowhere.ini"], 2),
        (vec!["polar"], 2),
        (vec!["pooler", "a", "b"], 2),
    ] {
        let output = output(Command::new(BINARY).args(&arguments));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(!stderr_of(&output).is_empty());
    }
    for arguments in
        [vec![], vec!["/nowhere.ini"], vec!["-x", "a"], vec!["--nonsense", "a"], vec!["-u"], vec!["a", "b"]]
    {
        let output = output(Command::new(&pgbouncer).args(&arguments));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr_of(&output).starts_with("pgbouncer: "), "{}", stderr_of(&output));
    }
}

/// A port that is taken is a mistake, and says so.
#[test]
fn a_port_that_is_taken() {
    let pooler = Pooler::start(Setup::new().database(cluster().primary(), "postgres", ""));
    let other = TempDir::new().unwrap();
    Setup::new().database(cluster().primary(), "postgres", "").write(other.path(), pooler.port());
    let output = output(Command::new(BINARY).arg("pooler").arg(other.path().join("pgbouncer.ini")));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr_of(&output).contains(&format!("127.0.0.1:{}", pooler.port())), "{}", stderr_of(&output));
}

#[test]
fn as_pgbouncer_with_its_options() {
    let dir = TempDir::new().unwrap();
    let program = pgbouncer(dir.path());
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    let setup = Setup::new().database(cluster().primary(), "postgres", "");
    let pooler = Pooler::start_as(setup, |config| {
        let mut command = Command::new(&program);
        command.arg("-v").arg("-R").arg(format!("-u{user}")).arg(config);
        command
    });
    assert_eq!(stdout_of(&pooler.psql("postgres", &["SELECT 1"])), "1");
    assert!(stdout_of(&pooler.psql("pgbouncer", &["SHOW VERSION"])).starts_with("PgBouncer 1."));
    wait_until("more is logged", || {
        pooler.log().contains("DEBUG") || pooler.log().contains("client close request")
    });
}

/// In the background: the command returns when the pooler serves, and the files tell the rest.
#[test]
fn as_a_daemon_with_pidfile_and_logfile() {
    let dir = TempDir::new().unwrap();
    let program = pgbouncer(dir.path());
    let (pidfile, logfile) = (dir.path().join("pid"), dir.path().join("log"));
    let setup = Setup::new()
        .database(cluster().primary(), "postgres", "")
        .set("pidfile", &pidfile.display().to_string())
        .set("logfile", &logfile.display().to_string());
    let port = pgprime_cluster::free_port();
    setup.write(dir.path(), port);
    let config = dir.path().join("pgbouncer.ini");
    let start = || output(Command::new(&program).args(["-d", "-q"]).arg(&config));
    let started = start();
    assert!(started.status.success(), "{}", stderr_of(&started));
    assert_eq!(stderr_of(&started), "");
    wait_until("it serves", || fs::read_to_string(&logfile).is_ok_and(|log| log.contains("listening")));
    let daemon = Daemon(fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap());

    let conninfo = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    let ask = || output(psql().arg("--dbname").arg(&conninfo).args(["--command", "SELECT 'served'"]));
    assert_eq!(stdout_of(&ask()), "served");
    let log = || fs::read_to_string(&logfile).unwrap();
    assert!(log().contains("listening"), "{}", log());

    // A second one finds the first, and leaves it and its files alone.
    let second = start();
    assert_eq!(second.status.code(), Some(1), "{}", stderr_of(&second));
    assert_eq!(stdout_of(&ask()), "served");
    assert_eq!(fs::read_to_string(&pidfile).unwrap().trim(), daemon.0.to_string());

    // Log rotation: the file is moved away, and a new one is begun.
    fs::rename(&logfile, dir.path().join("log.1")).unwrap();
    wait_until("a new log file is begun", || {
        stdout_of(&ask());
        logfile.exists()
    });

    kill(Pid::from_raw(daemon.0), Signal::SIGINT).unwrap();
    wait_until("it has ended", || !pidfile.exists());
}

/// Killed if the test fails before it has ended it.
struct Daemon(i32);

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = kill(Pid::from_raw(self.0), Signal::SIGKILL);
        }
    }
}

#[test]
fn a_daemon_needs_a_pidfile() {
    let dir = TempDir::new().unwrap();
    Setup::new()
        .database(cluster().primary(), "postgres", "")
        .write(dir.path(), pgprime_cluster::free_port());
    let output =
        output(Command::new(BINARY).args(["pooler", "--daemon"]).arg(dir.path().join("pgbouncer.ini")));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr_of(&output).contains("pidfile"), "{}", stderr_of(&output));
}

/// A pidfile that a killed process has left behind does not stand in the way.
#[test]
fn an_old_pidfile() {
    let dir = TempDir::new().unwrap();
    let pidfile = dir.path().join("pid");
    let mut ended = Command::new("true").spawn().unwrap();
    fs::write(&pidfile, format!("{}\n", ended.id())).unwrap();
    ended.wait().unwrap();
    let setup = Setup::new().database(cluster().primary(), "postgres", "");
    let mut pooler = Pooler::start(setup.set("pidfile", &pidfile.display().to_string()));
    assert_eq!(fs::read_to_string(&pidfile).unwrap().trim(), pooler.pid().to_string());
    pooler.signal(Signal::SIGTERM);
    assert_eq!(pooler.wait_exit().code(), Some(0));
    assert!(!pidfile.exists());
}

/// On the Unix socket the system's own user runs the console as `pgbouncer`, without a password; over TCP nobody does.
#[test]
fn the_systems_user_is_admin_on_the_unix_socket() {
    let setup = Setup::new().database(cluster().primary(), "postgres", "").set("auth_type", "scram-sha-256");
    let pooler = Pooler::start(setup.set("admin_users", "").set("stats_users", ""));
    let console = |host: &str| {
        let conninfo = format!("host={host} port={} user=pgbouncer dbname=pgbouncer", pooler.port());
        output(psql().arg("--no-password").arg("--dbname").arg(conninfo).args([
            "--command",
            "PAUSE",
            "--command",
            "RESUME",
        ]))
    };
    assert_eq!(stdout_of(&console(&pooler.dir().display().to_string())), "PAUSE\nRESUME");
    let refused = console("127.0.0.1");
    assert_eq!(refused.status.code(), Some(2), "{}", stdout_of(&refused));
}

/// Who may do what on the console.
#[test]
fn rights_on_the_console() {
    let setup =
        Setup::new().database(cluster().primary(), "postgres", "").user("looker", "").user("other", "");
    let pooler = Pooler::start(setup.set("stats_users", "looker"));
    let as_user = |user: &str| pooler.conninfo("pgbouncer").replace("user=postgres", &format!("user={user}"));
    run(async {
        let admin = pooler.console().await;
        admin.batch_execute("SET default_pool_size = 7").await.unwrap();
        let looker = crate::harness::Client::connect(&as_user("looker")).await.unwrap();
        let rows = looker.rows("SHOW CONFIG").await.unwrap();
        let size = rows.iter().find(|row| cell(row, "key") == "default_pool_size").unwrap();
        assert_eq!(cell(size, "value"), "7");
        for command in ["PAUSE", "RELOAD", "SHUTDOWN", "KILL postgres", "SET default_pool_size = 1"] {
            assert_eq!(crate::harness::sqlstate(looker.batch_execute(command).await), "42501", "{command}");
        }
        assert_eq!(
            crate::harness::sqlstate(crate::harness::Client::connect(&as_user("other")).await),
            "42501"
        );
    });
}
