//! The audit log: who did what, and how it ended.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::security::Caller;

/// Notes every action in the log, and in a file of its own if there is one: a line of JSON for each.
#[derive(Debug)]
pub(crate) struct Audit {
    file: Option<Mutex<File>>,
}

#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    who: &'a str,
    role: &'a str,
    address: String,
    action: &'a str,
    object: &'a str,
    outcome: &'a str,
}

impl Audit {
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path).map(Mutex::new);
        Ok(Self { file: path.map(open).transpose()? })
    }

    /// Notes an action, on what, and how it ended.
    pub(crate) fn note(&self, caller: &Caller, action: &str, object: &str, outcome: &str) {
        let (who, role) = (caller.name.as_str(), caller.role.name());
        let address = caller.address.to_string();
        tracing::info!(who, role, address, action, object, outcome, "audit");
        let Some(file) = &self.file else { return };
        let line = Line { at: Timestamp::now(), who, role, address, action, object, outcome };
        let Ok(mut text) = serde_json::to_string(&line) else { return };
        text.push('\n');
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(text.as_bytes()) {
            tracing::error!(%error, "the audit file cannot be written");
        }
    }
}
