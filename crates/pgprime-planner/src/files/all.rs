//! All files of a plan.

use std::fmt;
use std::path::PathBuf;

use super::inputs::FileInputs;
use super::{environment, ini, postgresql, systemd, userlist};

/// The folder that all files are in.
const FOLDER: &str = "config";

/// A file to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Relative to the folder that was asked for, and always below `config/`.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
    /// Whether it is for its owner's eyes only.
    pub is_secret: bool,
}

impl PlannedFile {
    fn new(name: &str, text: String) -> Self {
        Self { path: PathBuf::from(FOLDER).join(name), text, is_secret: false }
    }
}

impl fmt::Debug for PlannedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("PlannedFile");
        shown.field("path", &self.path).field("is_secret", &self.is_secret);
        if !self.is_secret {
            shown.field("text", &self.text);
        }
        shown.finish_non_exhaustive()
    }
}

/// All files of a plan.
#[must_use]
pub fn files(inputs: &FileInputs<'_>) -> Vec<PlannedFile> {
    let mut files = vec![
        PlannedFile::new("pgbouncer.ini", ini::text(inputs)),
        PlannedFile::new("pgbouncer_userlist.txt.example", userlist::example(inputs)),
        PlannedFile::new("pgprime-pooler.service", systemd::pooler_unit(inputs)),
        PlannedFile::new("pgbouncer.service.d/limits.conf", systemd::pgbouncer_limits(inputs)),
        PlannedFile::new("env.example", environment::text(inputs)),
    ];
    if !inputs.settings.is_empty() {
        files.push(PlannedFile::new("postgresql.conf", postgresql::text(inputs)));
    }
    if let Some(users) = inputs.users {
        let text = userlist::text(users);
        files.push(PlannedFile { is_secret: true, ..PlannedFile::new("pgbouncer_userlist.txt", text) });
    }
    files
}
