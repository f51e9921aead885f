//! The folder of a cluster, the processes started in it, and the watchdog that ends both with the owner.
//!
//! Rust cannot promise clean-up after SIGKILL, so that is another process's work: a shell script that waits on a pipe
//! whose other end only the owner holds. It is the only clean-up there is: an orderly end closes the pipe as well.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::account::{Account, open_to_all};
use crate::error::ClusterError;

const WATCHDOG: &str = include_str!("watchdog.sh");

/// Writes its process id before it becomes the program, and does not become it when the watchdog has begun its work:
/// so the watchdog cannot miss a program that is just being started.
const LAUNCH: &str = r#"echo $$ >"$1" && [ -e "$2" ] && shift 2 && exec "$@""#;

/// A Unix socket's path has room for 103 bytes on macOS and 107 on Linux, and the socket's name takes 16 of them.
const DIR_BYTES_MAX: usize = 103 - 16;

const NAME_START: &str = "pgprime-";
const NAME_RANDOM_CHARS: usize = 6;

/// A cluster's folder; removed, with every process started in it, when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    account: Option<Account>,
    /// Holds the pipe.
    watchdog: Child,
}

impl Home {
    pub(crate) fn new() -> Result<Self, ClusterError> {
        let account = Account::for_postgres()?;
        let parent = parent_dir(account.is_some());
        let refused = format!("create a folder in {}", parent.display());
        let dir = create_dir(&parent, account.as_ref()).map_err(ClusterError::io(refused))?;
        match watch(&dir, account.as_ref()) {
            Ok(watchdog) => Ok(Self { dir, account, watchdog }),
            Err(error) => {
                let _left_behind = std::fs::remove_dir_all(&dir);
                Err(ClusterError::io("start the watchdog")(error))
            }
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A command that runs as PostgreSQL's user and ends with the owner. The name is its own among those running.
    ///
    /// It gets a process group of its own, so that Ctrl-C in the terminal does not reach it.
    pub(crate) fn command(&self, name: &str, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", LAUNCH, "launch"])
            .arg(self.pid_file(name))
            .arg(self.dir.join("open"))
            .arg(program);
        // The current folder may be one that PostgreSQL's user cannot enter.
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        without_postgres_variables(&mut command);
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        command
    }

    /// To be called once a command has ended: its process id may soon be another's.
    pub(crate) fn ended(&self, name: &str) {
        let _gone = std::fs::remove_file(self.pid_file(name));
    }

    /// Writes a file that belongs to PostgreSQL's user.
    pub(crate) fn write(&self, path: &Path, text: &str) -> Result<(), ClusterError> {
        let written = std::fs::write(path, text).and_then(|()| own(self.account.as_ref(), path));
        written.map_err(ClusterError::io(format!("write {}", path.display())))
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.dir.join("pids").join(name)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ended = self.watchdog.wait();
        // What root put there, the watchdog may not remove.
        let _gone = std::fs::remove_dir_all(&self.dir);
    }
}

/// Takes away what would steer PostgreSQL's programs from outside, as PGHOST and PGDATA.
pub(crate) fn without_postgres_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.as_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_MESSAGES", "C").env_remove("LC_ALL").env_remove("LANGUAGE");
}

/// The temporary folder, or /tmp where its path is too long for a socket or (`shared`) closed to other users.
fn parent_dir(shared: bool) -> PathBuf {
    let dir = std::env::temp_dir();
    let bytes = dir.as_os_str().len() + 1 + NAME_START.len() + NAME_RANDOM_CHARS;
    let fits = bytes <= DIR_BYTES_MAX && dir.is_absolute() && (!shared || open_to_all(&dir));
    if fits { dir } else { PathBuf::from("/tmp") }
}

fn create_dir(parent: &Path, account: Option<&Account>) -> io::Result<PathBuf> {
    let dir = tempfile::Builder::new().prefix(NAME_START).rand_bytes(NAME_RANDOM_CHARS).tempdir_in(parent)?;
    std::fs::create_dir(dir.path().join("pids"))?;
    std::fs::write(dir.path().join("open"), "")?;
    for path in [dir.path(), &dir.path().join("pids"), &dir.path().join("open")] {
        own(account, path)?;
    }
    // Other users connect through the sockets in it.
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(dir.keep())
}

fn own(account: Option<&Account>, path: &Path) -> io::Result<()> {
    account.map_or(Ok(()), |account| account.own(path))
}

fn watch(dir: &Path, account: Option<&Account>) -> io::Result<Child> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", WATCHDOG, "watchdog"]).arg(dir).current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(account) = account {
        account.apply(&mut command);
    }
    command.spawn()
}
