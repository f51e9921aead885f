//! Running in the background, and as another user.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::unistd::{Uid, User, setgid, setuid};

/// Set in the environment of the process in the background.
const CHILD_MARK: &str = "PGPRIME_BACKGROUND";
/// How long the process in the background may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Whether this is the process in the background.
pub(crate) fn is_child() -> bool {
    env::var_os(CHILD_MARK).is_some()
}

/// Starts the same command line again, detached from terminal and process group, and waits until it has written its
/// pidfile, which it does when it listens.
pub(crate) fn start_child(pidfile: &Path) -> anyhow::Result<()> {
    let program = env::current_exe().context("cannot find our own program")?;
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into());
    let mut child = Command::new(&program)
        .arg0(name)
        .args(arguments)
        .env(CHILD_MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start in the background")?;
    let until = Instant::now() + START_LIMIT;
    while fs::read_to_string(pidfile).ok().and_then(|text| text.trim().parse().ok()) != Some(child.id()) {
        if let Some(status) = child.try_wait()? {
            anyhow::bail!("ended at once ({status}): see the log, or run it in the foreground");
        }
        if Instant::now() >= until {
            anyhow::bail!("process {} does not listen yet: see the log", child.id());
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Gives up root for a user of the system. Nothing to do when it is that user already.
pub(crate) fn become_user(name: &str) -> anyhow::Result<()> {
    let found = User::from_name(name).ok().flatten();
    let user = found.with_context(|| format!("user = {name}: there is no such user on this system"))?;
    if Uid::effective() == user.uid {
        return Ok(());
    }
    if !Uid::effective().is_root() {
        anyhow::bail!("user = {name}: only root can become another user");
    }
    #[cfg(target_os = "linux")]
    {
        let name = std::ffi::CString::new(name).context("a user's name holds no NUL")?;
        nix::unistd::initgroups(&name, user.gid).context("cannot take on the user's groups")?;
    }
    setgid(user.gid).context("cannot take on the user's group")?;
    setuid(user.uid).with_context(|| format!("cannot become {name}"))
}
