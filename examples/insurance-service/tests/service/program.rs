//! The program itself: started as a service manager does, and told to stop.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http::Client;
use crate::service::CLUSTER;

/// Ends with the test, whatever becomes of it.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn program(arguments: &[&str], url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_insurance-service"));
    command.args(arguments).env_clear().env("DATABASE_URL", url).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_migrates_serves_and_stops() {
    let cluster = CLUSTER.cluster();
    let url = cluster.primary().url(&cluster.test_database("program").expect("can be created"));
    let child = program(&["--migrate", "--listen", "127.0.0.1:0"], &url).spawn().expect("can be started");
    let mut program = Program(child);
    let mut log = BufReader::new(program.0.stderr.take().expect("is piped"));
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("can be read"), 0, "it ended");
    }
    let address = line.split_whitespace().find_map(|word| word.split_once('=').map(|(_, value)| value));
    let mut client =
        Client::new(address.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{line}")));
    client.get("/readyz").await.json(204);
    client.get("/quotes/1").await.json(404);

    let pid = Pid::from_raw(program.0.id().try_into().expect("fits"));
    kill(pid, Signal::SIGTERM).expect("is our own child");
    let mut rest = String::new();
    log.read_to_string(&mut rest).expect("can be read");
    assert!(program.0.wait().expect("is our own child").success(), "{rest}");
    assert!(rest.contains("stopped"), "{rest}");
    assert!(!rest.contains("WARN") && !rest.contains("ERROR"), "{rest}");
}

#[test]
fn mistakes_are_told_at_the_start() {
    for (arguments, url, code, told) in [
        (&["--listen"][..], "postgres://x@localhost/x", 2, "--listen needs an address"),
        (&["--what"], "postgres://x@localhost/x", 2, "`--what` is not an argument"),
        (&[], "mysql://x:secret@localhost/x", 1, "DATABASE_URL cannot be used"),
        (&[], "", 1, "DATABASE_URL is not set"),
    ] {
        let output = program(arguments, url).output().expect("can be started");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(told) && !text.contains("secret"), "{text}");
    }
}
