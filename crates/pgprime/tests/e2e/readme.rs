//! What the README tells people to type, as it stands there; only addresses and ports are the test's.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use pgprime_cluster::{Cluster, ClusterOptions, Installation, free_port};
use tempfile::TempDir;

use crate::harness::{stderr_of, wait_until};
use crate::run::{self, Running};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The first block of code after these words.
fn block_after(text: &str, words: &str) -> String {
    let rest = text.split_once(words).unwrap_or_else(|| panic!("the README has no {words:?}")).1;
    let block = rest.split("```").nth(1).unwrap();
    block.split_once('\n').unwrap().1.to_owned()
}

/// The server of the README: a role with a password, and its database.
fn server() -> Cluster {
    let options = ClusterOptions::default().with_hba(["host all all 127.0.0.1/32 scram-sha-256"]);
    let cluster = Cluster::start(&options).unwrap();
    let roles = "SET password_encryption = 'scram-sha-256'; CREATE ROLE app LOGIN PASSWORD 'password' IN ROLE pg_monitor";
    cluster.primary().psql("postgres", roles).unwrap();
    cluster.primary().psql("postgres", "CREATE DATABASE insurance OWNER app").unwrap();
    cluster
}

/// Somebody who follows the README.
struct Reader {
    server: Cluster,
    dir: TempDir,
    pooler_port: u16,
    api_port: u16,
}

impl Reader {
    fn new() -> Self {
        let (server, dir) = (server(), tempfile::tempdir().unwrap());
        Self { server, dir, pooler_port: free_port(), api_port: free_port() }
    }

    /// With the test's addresses.
    fn here(&self, text: &str) -> String {
        let server = format!("127.0.0.1:{}", self.server.primary().port());
        text.replace("10.0.0.5:5432", &server)
            .replace("10.0.0.5 port=5432", &server.replace(':', " port="))
            .replace("127.0.0.1:8000", &format!("127.0.0.1:{}", self.api_port))
            .replace("6432", &self.pooler_port.to_string())
    }

    fn shell(&self, line: &str, url: Option<&str>) -> Output {
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env_remove("DATABASE_URL").envs(url.map(|url| ("DATABASE_URL", url)));
        let binary = Path::new(env!("CARGO_BIN_EXE_pgprime")).parent().unwrap().display().to_string();
        let psql = Installation::find().unwrap().bin_dir().display().to_string();
        let path = format!("{binary}:{psql}:{}", std::env::var("PATH").unwrap());
        // What psql asks for at a terminal.
        command.env("PATH", path).env("PGPASSWORD", "password").arg("-c").arg(self.here(line));
        command.current_dir(self.dir.path()).stdin(Stdio::null()).output().unwrap()
    }

    /// Types what stands under "Start and verify", and looks at what comes.
    fn start_and_verify(self, config: &Path) {
        let config = config.strip_prefix(self.dir.path()).unwrap().to_owned();
        let lines = block_after(&file("README.md"), "**Start and verify.**");
        let (mut url, mut running) = (None, None::<Running>);
        for line in lines.lines() {
            let typed = line.split(" #").next().unwrap().trim();
            if let Some(exported) = typed.strip_prefix("export DATABASE_URL=") {
                url = Some(self.here(exported));
            } else if typed == "pgprime run &" {
                running = Some(self.run(&config, url.as_deref()));
            } else if let Some(asked) = typed.strip_prefix("curl http://127.0.0.1:8000") {
                let running = running.as_ref().unwrap();
                wait_until("there was a look", || running.check("database.up").is_some());
                let (status, body) = running.get(asked);
                assert_eq!(status, 200, "{body}");
            } else {
                let output = self.shell(typed, url.as_deref());
                let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr_of(&output);
                // A finding is none of the README's.
                let code_max = if typed.starts_with("pgprime") { 1 } else { 0 };
                assert!(output.status.code().is_some_and(|code| code <= code_max), "{typed}: {said}");
                assert!(stderr_of(&output).is_empty(), "{typed}: {said}");
                check(typed, &said);
            }
        }
        assert!(running.is_some(), "{lines}");
    }

    fn run(&self, config: &Path, url: Option<&str>) -> Running {
        let dir = tempfile::tempdir().unwrap();
        let path = self.dir.path().join(config);
        let mut command = run::command(url);
        // It would find the file by itself, were its histories and log not elsewhere.
        command.arg("--config").arg(path);
        let mut running = Running::launch(command, dir, self.pooler_port);
        running.wait_for_interface();
        running
    }
}

/// What a command is there for.
fn check(typed: &str, said: &str) {
    let words: &[&str] = match typed {
        "pgprime health" => &["Poolers that give no answer"],
        "pgprime checklist" => &["[x] connections are pooled", "the last look was"],
        _ if typed.contains("SHOW POOLS") => &["insurance", "cl_waiting"],
        _ if typed.contains("SELECT version()") => &["PostgreSQL"],
        _ => panic!("the README has a new line, which is to be looked at: {typed}"),
    };
    for words in words {
        assert!(said.to_lowercase().contains(&words.to_lowercase()), "{typed}: no {words:?} in {said}");
    }
    assert!(!said.contains("CRITICAL  Poolers"), "{said}");
}

#[test]
fn the_way_by_init() {
    let reader = Reader::new();
    let line = block_after(&file("README.md"), "**Configure.**");
    let output = reader.shell(line.trim(), None);
    // More load than this machine carries is a finding.
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", stderr_of(&output));
    let path = reader.dir.path().join("config/pgprime.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, reader.here(&text)).unwrap();
    reader.start_and_verify(&path);
}

#[test]
fn the_way_by_hand() {
    let reader = Reader::new();
    let verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'app'";
    let verifier = reader.server.primary().psql("postgres", verifier).unwrap();
    let users = reader.dir.path().join("userlist.txt");
    std::fs::write(&users, format!("\"app\" \"{verifier}\"\n")).unwrap();
    let written = block_after(&file("README.md"), "The pooler's settings have PgBouncer's names");
    let text = reader.here(&written).replace("/etc/pgprime/userlist.txt", users.to_str().unwrap()).replace(
        "\"0.0.0.0\"",
        &format!("\"127.0.0.1\"\nunix_socket_dir = \"\"\nlisten_port = {}", reader.pooler_port),
    );
    let path = reader.dir.path().join("pgprime.toml");
    std::fs::write(&path, text + &reader.here("\n[api]\nlisten = \"127.0.0.1:8000\"\n")).unwrap();
    reader.start_and_verify(&path);
}

#[test]
fn pgbouncers_console_is_for_whom_its_ini_says() {
    let ini = file("config/pgbouncer.ini");
    let user = ini.lines().find_map(|line| line.strip_prefix("stats_users = ")).unwrap();
    for name in ["README.md", "docs/run.md"] {
        assert!(file(name).contains(&format!("url = \"postgresql://{user}")), "{name}: {user}");
    }
}
