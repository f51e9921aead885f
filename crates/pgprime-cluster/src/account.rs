//! The operating system user that PostgreSQL runs as: oneself, or an unprivileged one when oneself is root.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{User, geteuid};

use crate::error::ClusterError;

/// The user that takes root's place.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The user to switch to; `None` when there is no need, because this process does not run as root.
    pub(crate) fn for_postgres() -> Result<Option<Self>, ClusterError> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let known = |name| User::from_name(name).ok().flatten();
        let user = known("postgres").or_else(|| known("nobody")).ok_or(ClusterError::NoUnprivilegedUser)?;
        Ok(Some(Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes the command run as this user.
    pub(crate) fn apply(&self, command: &mut Command) {
        // The standard library drops root's supplementary groups along with the user id.
        command.gid(self.gid).uid(self.uid);
    }

    /// Gives the file or folder to this user.
    pub(crate) fn own(&self, path: &Path) -> std::io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }
}

/// Whether every user may enter the folder: it and all folders above it can be searched by others.
pub(crate) fn open_to_all(dir: &Path) -> bool {
    const SEARCH_BY_OTHERS: u32 = 0o001;
    let searchable = |dir: &Path| dir.metadata().is_ok_and(|found| found.mode() & SEARCH_BY_OTHERS != 0);
    dir.canonicalize().is_ok_and(|dir| dir.ancestors().all(searchable))
}
