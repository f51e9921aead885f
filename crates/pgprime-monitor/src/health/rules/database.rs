//! Whether the database answers at all.

use super::seen::Seen;
use crate::health::down::{Down, DownKind};
use crate::health::report::Status;
use crate::health::verdict::Verdict;
use crate::health::words;

const ID: &str = "database.up";

pub(super) fn up(seen: &Seen<'_>) -> Verdict {
    let took_s = seen.now.took.as_secs_f64();
    let server = &seen.now.server;
    let kind = if server.in_recovery { "replica" } else { "primary" };
    let since = words::seconds(server.at_s - server.started_s);
    let text = format!(
        "PostgreSQL {}, {kind}, up for {since}; the look at it took {}.",
        server.version.split(' ').next().unwrap_or_default(),
        words::seconds(took_s)
    );
    Verdict::value(ID, took_s * 1_000.0, text).action(
        "Look at what keeps its processors and disks busy: locks, long statements, checkpoints below.",
    )
}

pub(super) fn down(down: &Down) -> Verdict {
    let (said, action) = match down.kind {
        DownKind::Unreachable => ("is out of reach", "Start it, or look at the network and the address."),
        DownKind::Silent => (
            "does not answer",
            "Look at its log, its processors and its disks: it may hang. Or nothing lets packets through.",
        ),
        DownKind::Full => (
            "refuses logins: all its connections are taken",
            "Put a pooler in front, or make pools smaller; pgprime plan calculates sizes. An administrator gets in on a \
             reserved connection.",
        ),
        DownKind::Starting => ("is starting or shutting down", "Wait; its log says how far it is."),
        DownKind::Rejected => ("refuses the login", "Look at user, password, database and pg_hba.conf."),
        DownKind::Lost => {
            ("lost the connection during the look", "Look at its log: a process may have crashed.")
        }
        DownKind::Foreign => {
            ("is not one that can be looked at", "Give the address of PostgreSQL 13 or newer itself.")
        }
        DownKind::Busy => {
            ("was not asked: no connection of our pool was free", "Make the admin pool larger.")
        }
    };
    // A pool of ours that is busy says nothing of the database.
    let status = if down.kind == DownKind::Busy { Status::Unknown } else { Status::Critical };
    Verdict::fixed(ID, status, format!("The database {said}: {}.", down.text.trim_end_matches('.')))
        .action(action)
}
