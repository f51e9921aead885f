//! What a restart needs to know, and the alerts that were: a file, written beside the rounds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::alert::Alert;
use super::machine::SavedAlerts;
use super::outbox::Outbox;
use crate::health::Memory;
use crate::history::StoreError;
use crate::history::file::{self, Kind, WriterLock};

/// "pgpa"
const KIND: Kind =
    Kind { application_id: 0x7067_7061, migrations: &[include_str!("../../sql/alerts_1.sql")] };
/// Alerts that are kept: years of an ordinary database.
const ALERTS_MAX: i64 = 10_000;
/// Things to write that wait for the disk.
const WAITING_MAX: usize = 1_000;
const ALERTS: &str = "alerts";
const OUTBOX: &str = "outbox ";
const MEMORY: &str = "memory";

/// What was kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) alerts: SavedAlerts,
    /// By the name of the channel.
    pub(super) outboxes: BTreeMap<String, Outbox>,
    /// The newest first.
    pub(super) history: Vec<Alert>,
    /// What looks had in mind.
    pub(super) memory: Option<Memory>,
}

/// Something to write.
#[derive(Debug)]
enum Write {
    State { key: String, json: String },
    Alert(Box<Alert>),
}

/// A thread that writes. Dropping it waits for what is under way.
#[derive(Debug)]
pub(super) struct Keeper {
    sender: Option<SyncSender<Write>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Opens the file and reads what was kept, at most `history_max` alerts.
    pub(super) fn open(path: &Path, now: Timestamp, history_max: usize) -> Result<(Self, Kept), StoreError> {
        let lock = file::lock(path)?;
        let connection = file::open(path, KIND, now, &lock)?;
        let kept = read(&connection, history_max).map_err(|error| StoreError::sql(path.to_owned(), error))?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let writer = Writer { connection, _lock: lock, path: path.to_owned(), failing: false };
        let thread = std::thread::Builder::new()
            .name("pgprime-alerts".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(|source| StoreError::Io { step: "start a thread for", path: path.to_owned(), source })?;
        Ok((Self { sender: Some(sender), thread: Some(thread) }, kept))
    }

    /// Keeps where all alerts stand.
    pub(super) fn alerts(&self, saved: &SavedAlerts) {
        self.state(ALERTS.to_owned(), serde_json::to_string(saved));
    }

    /// Keeps what a channel still has to hear.
    pub(super) fn outbox(&self, channel: &str, outbox: &Outbox) {
        self.state(format!("{OUTBOX}{channel}"), serde_json::to_string(outbox));
    }

    /// Keeps what looks have in mind.
    pub(super) fn memory(&self, memory: &Memory) {
        self.state(MEMORY.to_owned(), serde_json::to_string(memory));
    }

    /// Keeps an alert as it is now.
    pub(super) fn alert(&self, alert: &Alert) {
        self.send(Write::Alert(Box::new(alert.clone())));
    }

    fn state(&self, key: String, json: serde_json::Result<String>) {
        match json {
            Ok(json) => self.send(Write::State { key, json }),
            Err(error) => tracing::debug!(%error, "the state of alerts was not kept"),
        }
    }

    fn send(&self, write: Write) {
        // A disk that is this far behind has been reported; the next state holds this one, too.
        if let Some(sender) = &self.sender {
            let _ = sender.try_send(write);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

struct Writer {
    connection: Connection,
    _lock: WriterLock,
    path: PathBuf,
    failing: bool,
}

impl Writer {
    fn run(mut self, writes: &Receiver<Write>) {
        for write in writes {
            let outcome = self.write(&write);
            match outcome {
                Ok(()) if self.failing => {
                    tracing::info!(file = %self.path.display(), "the state of alerts is kept again");
                    self.failing = false;
                }
                Ok(()) => {}
                Err(source) => {
                    let error = StoreError::sql(self.path.clone(), source);
                    if !self.failing {
                        tracing::error!(%error, "the state of alerts is not kept; alerts go on without it");
                    }
                    self.failing = true;
                }
            }
        }
    }

    fn write(&mut self, write: &Write) -> rusqlite::Result<()> {
        match write {
            Write::State { key, json } => {
                let sql = "INSERT OR REPLACE INTO state (key, json) VALUES (?1, ?2)";
                self.connection.prepare_cached(sql)?.execute(params![key, json]).map(drop)
            }
            Write::Alert(alert) => {
                let sql = "INSERT OR REPLACE INTO alert (id, since, json) VALUES (?1, ?2, ?3)";
                let json = serde_json::to_string(alert).unwrap_or_default();
                let values = params![alert.id, alert.since.as_microsecond(), json];
                self.connection.prepare_cached(sql)?.execute(values)?;
                let sql = "DELETE FROM alert WHERE id IN \
                           (SELECT id FROM alert ORDER BY since DESC LIMIT -1 OFFSET ?1)";
                self.connection.prepare_cached(sql)?.execute([ALERTS_MAX]).map(drop)
            }
        }
    }
}

/// What a newer version wrote otherwise counts as not there.
fn read(connection: &Connection, history_max: usize) -> rusqlite::Result<Kept> {
    let mut kept = Kept::default();
    let mut statement = connection.prepare("SELECT key, json FROM state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (key, json): (String, String) = (row.get(0)?, row.get(1)?);
        if key == ALERTS {
            kept.alerts = serde_json::from_str(&json).unwrap_or_default();
        } else if key == MEMORY {
            kept.memory = serde_json::from_str(&json).ok();
        } else if let Some(channel) = key.strip_prefix(OUTBOX) {
            kept.outboxes.insert(channel.to_owned(), serde_json::from_str(&json).unwrap_or_default());
        }
    }
    let mut statement = connection.prepare("SELECT json FROM alert ORDER BY since DESC LIMIT ?1")?;
    let limit = i64::try_from(history_max).unwrap_or(i64::MAX);
    for json in statement.query_map([limit], |row| row.get::<_, String>(0))? {
        kept.history.extend(serde_json::from_str::<Alert>(&json?).ok());
    }
    Ok(kept)
}
