//! How much memory there is.

use std::path::Path;
use std::process::{Command, Stdio};

/// What Linux has, or less where a control group of this process limits it. `root` is `/` but in tests.
pub(super) fn on_linux(root: &Path) -> Option<u64> {
    let installed = installed(&read(root, "proc/meminfo")?)?;
    let groups = read(root, "proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().flat_map(|line| limits(root, line));
    Some(limits.fold(installed, u64::min))
}

/// `MemTotal` in kB.
fn installed(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The limits that a line `hierarchy:controllers:path` leads to: the group's own and those of all groups above it.
fn limits(root: &Path, line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':');
    let (Some(_hierarchy), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Vec::new();
    };
    let (mount, file) = if controllers.is_empty() {
        ("sys/fs/cgroup", "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
    } else {
        return Vec::new();
    };
    let path = path.trim_start_matches('/');
    // Outside of the container's view.
    let path = if path.split('/').any(|part| part == "..") { "" } else { path };
    let groups = Path::new(path).ancestors();
    // "max" is no number; version 1 says "no limit" by one beyond any memory.
    let limit = |group: &Path| read(&root.join(mount).join(group), file)?.trim().parse().ok();
    groups.filter_map(limit).filter(|limit| *limit > 0).collect()
}

fn read(folder: &Path, file: &str) -> Option<String> {
    std::fs::read_to_string(folder.join(file)).ok()
}

/// What macOS has.
pub(super) fn on_macos() -> Option<u64> {
    if !cfg!(target_os = "macos") {
        return None;
    }
    let mut command = Command::new("/usr/sbin/sysctl");
    let output = command.args(["-n", "hw.memsize"]).stdin(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;
    const MEMINFO: &str = "MemTotal:       16777216 kB\nMemFree:         1000000 kB\n";

    /// A machine of 16 GB with these files.
    fn memory(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        on_linux(root.path())
    }

    #[test]
    fn the_smallest_limit_counts() {
        let (meminfo, groups) = ("proc/meminfo", "proc/self/cgroup");
        for (files, expected) in [
            (&[(meminfo, MEMINFO)][..], 16 * GB),
            (&[(meminfo, MEMINFO), (groups, "0::/\n"), ("sys/fs/cgroup/memory.max", "2147483648\n")], 2 * GB),
            (
                &[(meminfo, MEMINFO), (groups, "0::/a/b\n"), ("sys/fs/cgroup/a/b/memory.max", "max\n")],
                16 * GB,
            ),
            (
                &[
                    (meminfo, MEMINFO),
                    (groups, "0::/a/b\n"),
                    ("sys/fs/cgroup/a/b/memory.max", "8589934592\n"),
                    ("sys/fs/cgroup/a/memory.max", "4294967296\n"),
                ],
                4 * GB,
            ),
            // Version 1: the path is that of the host, the mount that of the container.
            (
                &[
                    (meminfo, MEMINFO),
                    (groups, "9:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/docker/x\n"),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
                ],
                GB,
            ),
            (
                &[
                    (meminfo, MEMINFO),
                    (groups, "4:memory:/\n"),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ],
                16 * GB,
            ),
            (&[(meminfo, MEMINFO), (groups, "0::/../x\nnonsense\n::\n")], 16 * GB),
        ] {
            assert_eq!(memory(files), Some(expected), "{files:?}");
        }
    }

    #[test]
    fn without_figures_there_is_none() {
        for text in [
            "",
            "MemTotal: many kB",
            "MemTotal: 99999999999999999999 kB",
            "MemTotal: 18446744073709551615 kB",
        ] {
            assert_eq!(memory(&[("proc/meminfo", text)]), None, "{text}");
        }
        assert_eq!(memory(&[]), None);
    }
}
