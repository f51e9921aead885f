//! What the machine allows and what processes use: open files, resident memory, CPU time, its own description.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

/// The machine a measurement was made on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Name of the processor.
    pub cpu: String,
    /// Logical processors this process may use.
    pub cores: usize,
    /// Operating system and kernel release.
    pub kernel: String,
}

impl Machine {
    /// Describes this machine.
    pub fn this() -> Self {
        let kernel = output_of("uname", &["-sr"]).unwrap_or_else(|| std::env::consts::OS.to_owned());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cpu: cpu_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned()), cores, kernel }
    }
}

fn cpu_name() -> Option<String> {
    let name = match std::fs::read_to_string("/proc/cpuinfo") {
        Ok(text) => {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            line.split_once(':')?.1.trim().to_owned()
        }
        Err(_) => output_of("sysctl", &["-n", "machdep.cpu.brand_string"])?,
    };
    (!name.is_empty()).then_some(name)
}

fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Open files a process needs besides its connections: libraries, logs, event queues, spare.
const SPARE_FILES: u64 = 200;

/// Makes sure that this process, and the pooler it starts, can each hold `connections` sockets: raises the soft limit
/// of open files as far as the hard limit lets it. An error names the limit and how to raise it.
pub(crate) fn allow_connections(connections: u64) -> anyhow::Result<()> {
    let needed = connections + SPARE_FILES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("reading the limit of open files")?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        bail!(limit_message(connections, needed, hard));
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard)
        .with_context(|| format!("raising the limit of open files from {soft} to {needed}"))
}

fn limit_message(connections: u64, needed: u64, hard: u64) -> String {
    format!(
        "{connections} connections need {needed} open files in one process, but the hard limit here is {hard}.\n\
         Raise it for this shell:      ulimit -n {needed}      (as root, or within the hard limit)\n\
         or for every login, in /etc/security/limits.conf:  * hard nofile {needed}\n\
         or ask for fewer clients:     --clients {}",
        hard.saturating_sub(SPARE_FILES * 2)
    )
}

/// Resident memory of a process, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Option<u64> {
    match std::fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => resident_in_status(&status),
        Err(_) => output_of("ps", &["-o", "rss=", "-p", &pid.to_string()])?.parse().ok(),
    }
}

fn resident_in_status(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// CPU time a process has used so far, user and system, over all its threads.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => Some(ticks_in_stat(&stat)?.mul_f64(1.0 / ticks_per_second())),
        Err(_) => clock_text(&output_of("ps", &["-o", "time=", "-p", &pid.to_string()])?),
    }
}

fn ticks_per_second() -> f64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    ticks.ok().flatten().map_or(100.0, |ticks| ticks as f64)
}

/// utime + stime in clock ticks, as if they were seconds. The name of the program, in parentheses, may hold spaces.
fn ticks_in_stat(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs(user + system))
}

/// `[hours:]minutes:seconds[.fraction]`, as `ps` writes it.
fn clock_text(text: &str) -> Option<Duration> {
    let seconds = text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_can_be_described() {
        assert!(resident_kib(std::process::id()).unwrap() > 100);
        assert!(cpu_time(std::process::id()).is_some());
        let machine = Machine::this();
        assert!(machine.cores > 0 && !machine.cpu.is_empty() && !machine.kernel.is_empty());
    }

    #[test]
    fn stat_with_a_strange_program_name() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(ticks_in_stat(stat), Some(Duration::from_secs(300)));
    }

    #[test]
    fn clock_texts() {
        assert_eq!(clock_text("1:02:03"), Some(Duration::from_secs(3723)));
        assert_eq!(clock_text("0:01.50"), Some(Duration::from_millis(1500)));
        assert_eq!(clock_text("x"), None);
    }

    #[test]
    fn the_limit_message_says_what_to_do() {
        let message = limit_message(10_000, 10_200, 4096);
        for part in ["10200", "4096", "ulimit -n 10200", "/etc/security/limits.conf"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(allow_connections(1).is_ok());
        assert!(allow_connections(u64::MAX / 4).is_err());
    }
}
