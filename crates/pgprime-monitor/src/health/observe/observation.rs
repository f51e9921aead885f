//! All that was seen in one look.

use std::sync::Arc;
use std::time::Duration;

use super::activity::{PreparedTransaction, SessionSeen, States};
use super::catalog::Catalog;
use super::counters::{Checkpoints, Counters, DatabaseIds};
use super::disk::DiskPlace;
use super::locks::LockWait;
use super::memory::Memory;
use super::recent::{Recent, Sample};
use super::replication::Replication;
use super::section::Section;
use super::server::Server;
use super::statements::Statements;
use pgprime_readonly::Missing;

/// What was seen of a database at one moment.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The server, and who asked.
    pub server: Server,
    /// Which server it is, in which of its lives: its system identifier with the timeline of a primary, or the place of a
    /// replica. `None` where that could not be read.
    pub lineage: Option<String>,
    /// How long the look took, from the first statement to the last.
    pub took: Duration,
    /// How many sessions are in which state.
    pub states: Section<States>,
    /// The sessions with the longest statements, transactions and idle transactions.
    pub sessions: Section<Vec<SessionSeen>>,
    /// Sessions that wait for locks, and those that they wait for.
    pub waits: Section<Vec<LockWait>>,
    /// Prepared transactions, oldest first.
    pub prepared: Section<Vec<PreparedTransaction>>,
    /// What the database has counted.
    pub counters: Section<Counters>,
    /// Checkpoints since the statistics began.
    pub checkpoints: Section<Checkpoints>,
    /// Ages of ids, oldest first.
    pub ids: Section<Vec<DatabaseIds>>,
    /// What pg_stat_statements has counted.
    pub statements: Section<Statements>,
    /// Replicas, slots, and what this server follows.
    pub replication: Replication,
    /// Tables, indexes and sizes; looked at less often.
    pub catalog: Arc<Catalog>,
    /// The look at those before, for what happened in between.
    pub catalog_before: Option<Arc<Catalog>>,
    /// File systems with data, where they are this machine's.
    pub disk: Section<Vec<DiskPlace>>,
    /// Counters of the past hour.
    pub recent: Recent,
}

impl Observation {
    /// The earlier look, if it is at the same server since the same start and at the same database.
    #[must_use]
    pub fn comparable<'a>(&self, earlier: Option<&'a Observation>) -> Option<&'a Observation> {
        earlier.filter(|earlier| {
            earlier.server.is_same_run(&self.server) && earlier.server.at_s < self.server.at_s
        })
    }

    /// The past hour for a look that follows this one.
    pub(super) fn recent_for(&self, server: &Server) -> Recent {
        let sample = Sample {
            at_s: self.server.at_s,
            wal_position: self.server.wal_position,
            counters: self.counters.as_ref().ok().copied(),
            checkpoints: self.checkpoints.as_ref().ok().copied(),
        };
        self.recent.clone().with(sample, server.at_s)
    }

    /// What looks after a restart have to know; `None` where it could not be told whose it is.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        let recent = self.recent_for(&self.server);
        Some(Memory::new(self.lineage.as_deref()?, &self.server, &self.replication.known, &recent))
    }

    /// What could not be seen, each thing once.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let mut all: Vec<&Missing> = Vec::new();
        all.extend(self.states.as_ref().err());
        all.extend(self.sessions.as_ref().err());
        all.extend(self.waits.as_ref().err());
        all.extend(self.prepared.as_ref().err());
        all.extend(self.counters.as_ref().err());
        all.extend(self.checkpoints.as_ref().err());
        all.extend(self.ids.as_ref().err());
        all.extend(self.statements.as_ref().err());
        all.extend(self.replication.missing());
        all.extend(self.catalog.missing());
        all.extend(self.disk.as_ref().err());
        let mut once: Vec<Missing> = Vec::new();
        for missing in all {
            if !once.contains(missing) {
                once.push(missing.clone());
            }
        }
        once.extend(self.hidden_sessions());
        once.extend(self.unseen_damage());
        once
    }

    /// What a server without checksums does not notice.
    fn unseen_damage(&self) -> Option<Missing> {
        (!self.server.has_checksums).then(|| Missing {
            what: "damaged blocks".to_owned(),
            why: "checksums are off; pg_checksums --enable turns them on, while the server is stopped"
                .to_owned(),
            statement: None,
        })
    }

    /// What a role without pg_monitor does not see of others.
    fn hidden_sessions(&self) -> Option<Missing> {
        (!self.server.sees_all).then(|| Missing {
            what: "what other roles' sessions do".to_owned(),
            why: "the server shows it to members of pg_monitor only".to_owned(),
            statement: Some(self.server.grant()),
        })
    }
}
