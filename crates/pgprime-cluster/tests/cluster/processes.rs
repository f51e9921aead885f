//! The process table, as the tests see it: on Linux without ps, which small systems lack.

use std::path::Path;
use std::process::Command;

/// One process, as ps shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// `T` is stopped.
    pub(crate) state: String,
}

/// Everything that has not ended. What has may stay in the table until its parent looks at it.
pub(crate) fn living() -> Vec<Process> {
    let all = if Path::new("/proc/self/stat").exists() { of_proc() } else { of_ps() };
    all.into_iter().filter(|process| !process.state.starts_with('Z')).collect()
}

fn of_proc() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let stat = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.to_owned();
        Some(Process { pid, parent: fields.next()?.parse().ok()?, state })
    };
    entries.filter_map(stat).collect()
}

fn of_ps() -> Vec<Process> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat="]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let process = |line: Vec<&str>| Process {
        pid: line[0].parse().unwrap(),
        parent: line[1].parse().unwrap(),
        state: line[2].to_owned(),
    };
    lines.map(process).collect()
}
