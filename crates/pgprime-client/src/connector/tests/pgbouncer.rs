//! A real PgBouncer as a child process.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pgprime_cluster::{Node, free_port};
use tempfile::TempDir;

/// Another process may take a port between our choosing it and PgBouncer's binding it.
const PORT_TRIES: usize = 5;

/// A PgBouncer in transaction mode with one server for each database; it ends when this is dropped.
pub(super) struct PgBouncer {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl PgBouncer {
    /// `settings` are more lines for its configuration.
    pub(super) fn start(node: &Node, database: &str, settings: &str) -> Self {
        for _ in 0..PORT_TRIES {
            let mut pooler = Self::spawn(node, database, settings);
            if pooler.is_listening() {
                return pooler;
            }
        }
        panic!("PgBouncer did not start");
    }

    fn spawn(node: &Node, database: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dir, port) = (folder.path().display(), free_port());
        let ini = format!(
            "[databases]\n{database} = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nlogfile = {dir}/log\nauth_type = trust\nauth_file = {dir}/users\n\
             pool_mode = transaction\ndefault_pool_size = 1\n{settings}\n",
            node.socket_dir().display(),
            node.port()
        );
        let files = [("pgbouncer.ini", ini), ("users", "\"postgres\" \"\"\n".to_owned())];
        let mut command = Command::new("pgbouncer");
        command.arg(folder.path().join("pgbouncer.ini"));
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        // PgBouncer refuses to be root: it becomes whoever runs PostgreSQL.
        let owner =
            is_root.then(|| fs::metadata(node.psql("postgres", "SHOW data_directory").unwrap()).unwrap());
        let give = |path: &std::path::Path| {
            if let Some(owner) = &owner {
                chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
            }
        };
        give(folder.path());
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            give(&path);
        }
        if let Some(owner) = &owner {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), folder, port }
    }

    fn is_listening(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("--- PgBouncer's log:\n{log}");
        }
    }
}
