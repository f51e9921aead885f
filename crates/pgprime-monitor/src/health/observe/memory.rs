//! What looks have to know of earlier ones, also of those of another process or before the server's last start.

use serde::{Deserialize, Serialize};

use super::recent::Recent;
use super::replication::KnownReplica;
use super::server::Server;

/// A memory that is this much older is worth writing down again, in seconds.
const STEP_S: f64 = 60.0;

/// Replicas that were seen, and counters of the past hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Of which server, as [`lineage`](super::Observation::lineage) says.
    lineage: String,
    database: String,
    started_s: f64,
    at_s: f64,
    known: Vec<KnownReplica>,
    recent: Recent,
}

impl Memory {
    pub(super) fn new(lineage: &str, server: &Server, known: &[KnownReplica], recent: &Recent) -> Self {
        Self {
            lineage: lineage.to_owned(),
            database: server.database.clone(),
            started_s: server.started_s,
            at_s: server.at_s,
            known: known.to_vec(),
            recent: recent.by_minutes(),
        }
    }

    /// What of it holds for this server. Counters go on over an orderly restart; where WAL ended and how checkpoints came
    /// before it says nothing of now.
    pub(super) fn recalled(&self, lineage: &str, server: &Server) -> (Vec<KnownReplica>, Recent) {
        if self.lineage != lineage {
            return (Vec::new(), Recent::default());
        }
        let is_same_run = (self.started_s - server.started_s).abs() < 0.001;
        let recent = match (self.database == server.database, is_same_run) {
            (false, _) => Recent::default(),
            (true, true) => self.recent.clone(),
            (true, false) => self.recent.of_an_earlier_run(),
        };
        (self.known.clone(), recent)
    }

    /// Whether it is time to write it down: `saved` is of another server, knows other replicas, or has grown old.
    #[must_use]
    pub fn is_due_after(&self, saved: &Self) -> bool {
        let names = |memory: &Self| -> Vec<(String, Option<String>)> {
            memory.known.iter().map(|replica| (replica.name.clone(), replica.address.clone())).collect()
        };
        self.lineage != saved.lineage
            || self.database != saved.database
            || (self.at_s - saved.at_s).abs() >= STEP_S
            || names(self) != names(saved)
    }
}
