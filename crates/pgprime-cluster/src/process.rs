//! Processes of the operating system: who descends from whom, and signals to all of them.
//!
//! PostgreSQL's children leave the postmaster's process group, so a group signal does not reach them; they are found
//! by their parent.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often a process is looked at while something is waited for.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// One line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    parent: i32,
    /// As ps prints it: `T` is stopped, `Z` has ended.
    state: char,
}

/// The process id of a child of this process.
pub(crate) fn id(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("a process id is a pid_t")
}

/// Sends the signal. A process that is gone does not matter to any caller.
pub(crate) fn signal(pid: i32, signal: Signal) {
    let _gone = kill(Pid::from_raw(pid), signal);
}

/// The process and all its descendants, parents first, without those that have ended.
pub(crate) fn tree(root: i32) -> Vec<Process> {
    let table = table();
    let mut found: Vec<Process> = table.iter().copied().filter(|process| process.pid == root).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|process| process.pid) {
        found.extend(table.iter().filter(|process| process.parent == parent));
        next += 1;
    }
    found.retain(|process| process.state != 'Z');
    found
}

/// Stops the process and all its descendants; they keep their sockets and locks. Returns those that were stopped.
pub(crate) fn freeze(root: i32, patience: Duration) -> Vec<Process> {
    let deadline = Instant::now() + patience;
    loop {
        // A parent that has come to a stop has no more children, so the first look at a wholly stopped tree is final.
        let tree = tree(root);
        if tree.iter().all(|process| process.state == 'T') || Instant::now() > deadline {
            return tree;
        }
        for process in tree.iter().filter(|process| process.state != 'T') {
            signal(process.pid, Signal::SIGSTOP);
        }
        std::thread::sleep(POLL);
    }
}

/// Lets the process and all its descendants go on.
pub(crate) fn thaw(root: i32) {
    for process in tree(root) {
        signal(process.pid, Signal::SIGCONT);
    }
}

/// Waits until none of the processes is left; false when the time was not enough.
pub(crate) fn wait_gone(processes: &[Process], patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let lives = |process: &Process| {
        // The parent changes when the postmaster ends before its children.
        table().iter().any(|now| now.pid == process.pid && now.state != 'Z')
    };
    while processes.iter().any(lives) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// Waits for the child's end; false when the time was not enough.
pub(crate) fn wait_exit(child: &mut Child, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    // An error means that there is no such child any more.
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

fn table() -> Vec<Process> {
    if Path::new("/proc/self/stat").exists() { table_of_proc() } else { table_of_ps() }
}

fn table_of_proc() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let stat = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        parse_stat(pid, &std::fs::read_to_string(entry.path().join("stat")).ok()?)
    };
    entries.flatten().filter_map(stat).collect()
}

/// `pid (name) state parent …`, where the name may hold blanks and parentheses.
fn parse_stat(pid: i32, line: &str) -> Option<Process> {
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    Some(Process { pid, state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
}

fn table_of_ps() -> Vec<Process> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=", "-o", "ppid=", "-o", "stat="])
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout).lines().filter_map(parse_ps).collect()
}

fn parse_ps(line: &str) -> Option<Process> {
    let mut fields = line.split_whitespace();
    let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Process { pid, parent, state: fields.next()?.chars().next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_process_table() {
        let expected = Some(Process { pid: 7, parent: 3, state: 'S' });
        assert_eq!(parse_stat(7, "7 (postgres) S 3 7 7 0 -1"), expected);
        assert_eq!(parse_stat(7, "7 (odd) name (1)) S 3 7 7 0 -1"), expected);
        assert_eq!(parse_stat(7, "7 (cut"), None);
        assert_eq!(parse_stat(7, "7 (cut) S"), None);
        assert_eq!(parse_ps("    7     3 Ss+"), expected);
        assert_eq!(parse_ps("    7     3"), None);
        assert_eq!(parse_ps(""), None);
    }

    #[test]
    fn a_tree_is_frozen_thawed_and_ended() {
        let patience = Duration::from_secs(20);
        let mut shell = Command::new("/bin/sh").args(["-c", "sleep 1000 & wait"]).spawn().unwrap();
        let root = id(&shell);
        let deadline = Instant::now() + patience;
        while tree(root).len() < 2 && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }

        let frozen = freeze(root, patience);
        assert_eq!(frozen.len(), 2, "{frozen:?}");
        assert_eq!(frozen[0].pid, root);
        assert!(tree(root).iter().all(|process| process.state == 'T'));

        thaw(root);
        while tree(root).iter().any(|process| process.state == 'T') && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        assert!(tree(root).iter().all(|process| process.state != 'T'));

        for process in &frozen {
            signal(process.pid, Signal::SIGKILL);
        }
        assert!(wait_exit(&mut shell, patience));
        assert!(wait_gone(&frozen, patience));
        assert_eq!(tree(root), []);
    }
}
