//! A pooler as a child process that ends with its parent, however the parent ends.
//!
//! The pooler runs under a shell that holds the read end of a pipe whose write end is ours. When this process ends,
//! even by SIGKILL, the kernel closes the pipe and the shell ends the pooler.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::unistd::{Uid, User};

/// Starts the pooler, says its pid, and ends it when the pipe on standard input closes: TERM, and KILL two seconds
/// later. When the pooler ends on its own, the watching half ends too, so that it never signals a reused pid.
const WATCHDOG: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- >&2 & pooler=$!
echo "$pooler"; exec >&-
( read -r _ <&3
  kill -TERM "$pooler"
  tries=0
  while kill -0 "$pooler" && [ "$tries" -lt 20 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL "$pooler" ) 2>/dev/null & watcher=$!
exec 3<&-
wait "$pooler"; status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// How long a pooler may take until it accepts connections.
const START_LIMIT: Duration = Duration::from_secs(15);
/// How long a pooler may take to end before the wait is given up (its shell kills it after two seconds).
const END_LIMIT: Duration = Duration::from_secs(5);

/// The command line of a pooler.
#[derive(Clone, Debug)]
pub enum PoolerCommand {
    /// pgprime itself: `PROGRAM pooler CONFIG`.
    Own(PathBuf),
    /// Any other, as a shell command with `{config}` where the path of the configuration goes; at the end by default.
    /// Run by root, it becomes an unprivileged user unless it is told `-u USER`: PgBouncer refuses to be root.
    Template(String),
}

impl PoolerCommand {
    fn words(&self, config: &Path) -> Vec<String> {
        let config = config.display().to_string();
        match self {
            Self::Own(program) => vec![program.display().to_string(), "pooler".into(), config],
            Self::Template(template) => {
                let command = if template.contains("{config}") {
                    template.replace("{config}", &config)
                } else {
                    format!("{template} {config}")
                };
                vec!["/bin/sh".into(), "-c".into(), format!("exec {command}")]
            }
        }
    }

    /// The user it has to become, when that is not us.
    fn other_user(&self) -> Option<User> {
        let Self::Template(template) = self else { return None };
        if !Uid::effective().is_root() || template.split_whitespace().any(|word| word.starts_with("-u")) {
            return None;
        }
        ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten())
    }
}

/// A running pooler. Dropping it ends the process and waits for its end.
#[derive(Debug)]
pub(crate) struct PoolerProcess {
    shell: Child,
    /// Held open for the life of the pooler; see [`WATCHDOG`].
    pipe: Option<ChildStdin>,
    pid: u32,
    log: PathBuf,
}

impl PoolerProcess {
    /// Starts a pooler with the given configuration. What it writes goes to `log`.
    pub(crate) fn start(command: &PoolerCommand, config: &Path, log: &Path) -> anyhow::Result<Self> {
        let log_file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let mut shell = Command::new("/bin/sh");
        if let Some(user) = command.other_user() {
            shell.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let mut shell = shell
            .args(["-c", WATCHDOG, "pgprime-watchdog"])
            .args(command.words(config))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .context("starting the shell that watches the pooler")?;
        let pipe = shell.stdin.take();
        let mut line = String::new();
        let stdout = shell.stdout.take().context("the shell has no output")?;
        BufReader::new(stdout).read_line(&mut line).context("reading the pid of the pooler")?;
        let pid = line.trim().parse().context("the shell did not say the pid of the pooler")?;
        Ok(Self { shell, pipe, pid, log: log.to_owned() })
    }

    /// The process id of the pooler itself.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until `ready` succeeds; fails when the pooler ends, or after 15 seconds, with what it logged last.
    pub(crate) fn wait_ready<T>(
        &mut self,
        mut ready: impl FnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            let error = match ready() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if let Some(status) = self.shell.try_wait().context("asking for the state of the pooler")? {
                bail!("the pooler ended at its start ({status}):\n{}", self.log_tail());
            }
            if started.elapsed() > START_LIMIT {
                let seconds = START_LIMIT.as_secs();
                return Err(error.context(format!("no pooler after {seconds} s:\n{}", self.log_tail())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last lines the pooler wrote.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for PoolerProcess {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let started = Instant::now();
        while started.elapsed() < END_LIMIT {
            match self.shell.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;

    fn lives(pid: u32) -> bool {
        kill(Pid::from_raw(pid as i32), None).is_ok()
    }

    #[test]
    fn a_dropped_pooler_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("x.ini");
        std::fs::write(&config, "").unwrap();
        let command = PoolerCommand::Template("tail -f {config}".into());
        let pooler = PoolerProcess::start(&command, &config, &folder.path().join("log")).unwrap();
        let pid = pooler.pid();
        assert!(lives(pid));
        drop(pooler);
        assert!(!lives(pid));
    }

    #[test]
    fn a_pooler_that_ends_at_once_is_an_error_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let command = PoolerCommand::Template("sh -c 'echo wrong setting >&2; exit 3' {config}".into());
        let mut pooler = PoolerProcess::start(&command, Path::new("x"), &folder.path().join("log")).unwrap();
        let error = pooler.wait_ready(|| -> anyhow::Result<()> { bail!("not yet") }).unwrap_err();
        assert!(format!("{error:#}").contains("wrong setting"), "{error:#}");
    }
}
