//! Finds the PostgreSQL programs that are installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::{Account, open_to_all};
use crate::error::ClusterError;

/// Names the folder of the programs to use, and ends the search.
pub(crate) const BIN_DIR_VARIABLE: &str = "PGPRIME_PG_BIN";

/// The oldest version that pgprime supports.
const MAJOR_MIN: u32 = 13;

const PROGRAMS: &[&str] = &["postgres", "initdb", "pg_basebackup", "pg_ctl", "psql"];

/// Where packages put the programs; `*` stands for any part of one name.
const USUAL_DIRS: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// One installed version of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    bin_dir: PathBuf,
    version_major: u32,
}

impl Installation {
    /// The one to use: that in the folder named by `PGPRIME_PG_BIN`, else the newest one installed.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`], or [`ClusterError::Unusable`] for the folder in `PGPRIME_PG_BIN`.
    pub fn find() -> Result<Self, ClusterError> {
        if let Some(bin_dir) = named_bin_dir() {
            return Self::at(bin_dir);
        }
        search(std::env::var_os("PATH").as_deref(), USUAL_DIRS)
    }

    /// Every usable one, newest first: in `PGPRIME_PG_BIN`, in `PATH` and in the folders that packages use.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut bin_dirs = candidates(std::env::var_os("PATH").as_deref(), USUAL_DIRS);
        bin_dirs.extend(named_bin_dir());
        usable(bin_dirs).0
    }

    /// The one in this folder.
    ///
    /// # Errors
    /// [`ClusterError::Unusable`] when a program is missing, cannot be run by the user that PostgreSQL runs as, or is
    /// older than version 13.
    pub fn at(bin_dir: impl AsRef<Path>) -> Result<Self, ClusterError> {
        let bin_dir = bin_dir.as_ref();
        let unusable = |reason| ClusterError::Unusable { bin_dir: bin_dir.to_path_buf(), reason };
        let missing = |name: &&str| !bin_dir.join(name).is_file();
        let missing: Vec<&str> = PROGRAMS.iter().copied().filter(missing).collect();
        if !missing.is_empty() {
            return Err(unusable(format!("{} missing", missing.join(", "))));
        }
        if let Some(account) = Account::for_postgres()?.filter(|_| !open_to_all(bin_dir)) {
            return Err(unusable(format!("the user {} may not enter the folder", account.name())));
        }
        let version_major = version_major(&bin_dir.join("postgres")).map_err(unusable)?;
        if version_major < MAJOR_MIN {
            return Err(unusable(format!("version {version_major} is older than {MAJOR_MIN}")));
        }
        Ok(Self {
            bin_dir: bin_dir.canonicalize().map_err(|error| unusable(error.to_string()))?,
            version_major,
        })
    }

    /// The major version, as 15.
    #[must_use]
    pub fn version_major(&self) -> u32 {
        self.version_major
    }

    /// The folder of the programs, without symbolic links.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }
}

fn named_bin_dir() -> Option<PathBuf> {
    std::env::var_os(BIN_DIR_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn search(path: Option<&OsStr>, usual_dirs: &[&str]) -> Result<Installation, ClusterError> {
    let (found, rejected) = usable(candidates(path, usual_dirs));
    found.into_iter().next().ok_or(ClusterError::NotFound { rejected })
}

/// The usable installations, newest first, and why the others are not.
fn usable(bin_dirs: Vec<PathBuf>) -> (Vec<Installation>, Vec<String>) {
    let mut found: Vec<Installation> = Vec::new();
    let mut rejected = Vec::new();
    for bin_dir in bin_dirs {
        match Installation::at(&bin_dir) {
            Ok(installation) if !found.contains(&installation) => found.push(installation),
            Ok(_known) => {}
            Err(error) => rejected.push(error.to_string()),
        }
    }
    // Stable, so PATH comes before the usual folders within a version.
    found.sort_by_key(|installation| std::cmp::Reverse(installation.version_major));
    (found, rejected)
}

/// Folders that hold a `postgres`. Links in `PATH` are followed: they often lead to a folder with all the programs.
fn candidates(path: Option<&OsStr>, usual_dirs: &[&str]) -> Vec<PathBuf> {
    let in_path = path.into_iter().flat_map(std::env::split_paths).filter_map(|dir| {
        let program = dir.join("postgres").canonicalize().ok()?;
        program.parent().map(Path::to_path_buf)
    });
    let usual = usual_dirs.iter().flat_map(|pattern| expand(pattern));
    in_path.chain(usual.filter(|dir| dir.join("postgres").is_file())).collect()
}

/// The existing paths that a pattern with `*` stands for.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        paths = match part.split_once('*') {
            None => paths.into_iter().map(|path| path.join(part)).collect(),
            Some((start, end)) => paths.iter().flat_map(|path| children(path, start, end)).collect(),
        };
    }
    paths
}

fn children(dir: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let fits = |name: &str| name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end));
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(fits)).map(|entry| entry.path()).collect()
}

fn version_major(postgres: &Path) -> Result<u32, String> {
    let output = Command::new(postgres).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("it does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_version_major(&text).ok_or_else(|| format!("it tells no version: {}", text.trim()))
}

/// The major version in the answer to `--version`, such as `postgres (PostgreSQL) 15.18 (Debian 15.18-0)`.
fn parse_version_major(text: &str) -> Option<u32> {
    let version = text.split_once(") ")?.1;
    let digits = version.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn versions() {
        for (text, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("postgres (PostgreSQL) 19devel", Some(19)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) x", None),
            ("", None),
        ] {
            assert_eq!(parse_version_major(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_installed_says_how_to_install() {
        let empty = tempfile::tempdir().unwrap();
        let message = search(Some(empty.path().as_os_str()), &["/nowhere/*/bin"]).unwrap_err().to_string();
        for hint in ["apt-get install postgresql", "brew install postgresql@16", "PGPRIME_PG_BIN"] {
            assert!(message.contains(hint), "{message}");
        }
    }

    #[test]
    fn an_old_or_incomplete_one_is_named_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        let bin_dir = create_bin_dir(root.path(), "pg-12");
        let pattern = format!("{}/pg-*/bin", root.path().display());
        let reason = || search(None, &[&pattern]).unwrap_err().to_string();

        write_program(&bin_dir.join("postgres"), "echo 'postgres (PostgreSQL) 12.4'");
        assert!(reason().contains("initdb, pg_basebackup, pg_ctl, psql missing"), "{}", reason());
        for program in &PROGRAMS[1..] {
            write_program(&bin_dir.join(program), "");
        }
        assert!(reason().contains("version 12 is older than 13"), "{}", reason());
    }

    #[test]
    fn links_in_the_path_are_followed_and_the_newest_wins() {
        let root = tempfile::tempdir().unwrap();
        for version in ["14", "16"] {
            let bin_dir = create_bin_dir(root.path(), &format!("pg-{version}"));
            for program in PROGRAMS {
                write_program(&bin_dir.join(program), &format!("echo 'postgres (PostgreSQL) {version}.1'"));
            }
        }
        let links = root.path().join("links");
        std::fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(root.path().join("pg-14/bin/postgres"), links.join("postgres")).unwrap();

        let linked = search(Some(links.as_os_str()), &[]).unwrap();
        assert_eq!(linked.version_major(), 14);
        assert_eq!(linked.bin_dir(), root.path().canonicalize().unwrap().join("pg-14/bin"));

        let pattern = format!("{}/pg-*/bin", root.path().display());
        let (all, rejected) = usable(candidates(Some(links.as_os_str()), &[&pattern]));
        assert_eq!(all.iter().map(Installation::version_major).collect::<Vec<_>>(), [16, 14]);
        assert_eq!(rejected, [""; 0]);
    }

    /// Folders that every user may enter, whatever the umask.
    fn create_bin_dir(root: &Path, name: &str) -> PathBuf {
        let bin_dir = root.join(name).join("bin");
        std::fs::create_dir_all(&bin_dir).unwrap();
        for dir in [root, &root.join(name), &bin_dir] {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        bin_dir
    }

    /// A shell writes the file: were it open for writing here, a process that another test starts at this moment would
    /// inherit it, and the program could not be run ("text file busy").
    fn write_program(path: &Path, script: &str) {
        let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"";
        let status =
            Command::new("/bin/sh").args(["-c", write, "sh"]).arg(path).arg(script).status().unwrap();
        assert!(status.success());
    }
}
