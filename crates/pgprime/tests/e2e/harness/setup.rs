//! The configuration of one pooler.

use std::fs;
use std::path::Path;

use pgprime_cluster::Node;

/// Settings, databases and users, to be written as files.
#[derive(Clone)]
pub(crate) struct Setup {
    settings: Vec<(String, String)>,
    databases: Vec<String>,
    users: Vec<(String, String)>,
    pub(crate) workers: usize,
}

impl Setup {
    /// Transaction pooling on one worker; the user `postgres` is let in by name and may use the console.
    pub(crate) fn new() -> Self {
        let setup = Self { settings: Vec::new(), databases: Vec::new(), users: Vec::new(), workers: 1 };
        setup
            .set("pool_mode", "transaction")
            .set("auth_type", "trust")
            .set("admin_users", "postgres")
            .set("server_login_retry", "1")
            .user("postgres", "")
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A database of a node under its own name, with more keys for its entry.
    pub(crate) fn database(self, node: &Node, name: &str, keys: &str) -> Self {
        self.entry(&format!("{name} = host={} port={} {keys}", node.socket_dir().display(), node.port()))
    }

    /// A whole line of `[databases]`; it takes the place of an earlier one of that name.
    pub(crate) fn entry(mut self, line: &str) -> Self {
        let name = |line: &str| line.split_whitespace().next().map(str::to_owned);
        self.databases.retain(|known| name(known) != name(line));
        self.databases.push(line.to_owned());
        self
    }

    pub(crate) fn user(mut self, name: &str, secret: &str) -> Self {
        self.users.retain(|(known, _)| known != name);
        self.users.push((name.to_owned(), secret.to_owned()));
        self
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Writes `pgbouncer.ini` and `userlist.txt` into the folder.
    pub(crate) fn write(&self, dir: &Path, port: u16) {
        let users = self.users.iter().map(|(name, secret)| format!("\"{name}\" \"{secret}\"\n"));
        fs::write(dir.join("userlist.txt"), users.collect::<String>()).unwrap();
        fs::write(dir.join("pgbouncer.ini"), self.text(dir, port)).unwrap();
    }

    fn text(&self, dir: &Path, port: u16) -> String {
        let dir = dir.display();
        let mut text = String::from("[databases]\n");
        for line in &self.databases {
            text.push_str(&format!("{line}\n"));
        }
        text.push_str(&format!(
            "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir = {dir}\n\
             auth_file = {dir}/userlist.txt\n"
        ));
        for (name, value) in &self.settings {
            text.push_str(&format!("{name} = {value}\n"));
        }
        text
    }
}
