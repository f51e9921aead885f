//! Every check there is: what it is about, from where on it is bad, and why there.

use std::fmt::Write as _;

use super::report::{Group, Thresholds, Unit};
use super::words;

/// A threshold that no value reaches.
pub const NEVER: f64 = f64::INFINITY;

/// One check as it is defined. The id stays the same over versions: alerts, series and settings go by it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Definition {
    /// Its name, such as `connections.used`.
    pub id: &'static str,
    /// What it is about.
    pub group: Group,
    /// Its title.
    pub title: &'static str,
    /// The unit of its value.
    pub unit: Unit,
    /// From where on it is bad, unless the settings say otherwise; `None`: by no value.
    pub thresholds: Option<Thresholds>,
    /// What the value is, and why it is bad from there on.
    pub why: &'static str,
}

impl Definition {
    /// Whether small values are the bad ones.
    #[must_use]
    pub fn is_bad_below(&self) -> bool {
        self.thresholds.is_some_and(|thresholds| thresholds.is_below())
    }
}

/// The definition of a check, if there is one of this name.
#[must_use]
pub fn definition(id: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.id == id)
}

const fn at(warning: f64, critical: f64) -> Option<Thresholds> {
    Some(Thresholds { warning, critical })
}

const fn check(
    id: &'static str,
    group: Group,
    title: &'static str,
    unit: Unit,
    thresholds: Option<Thresholds>,
    why: &'static str,
) -> Definition {
    Definition { id, group, title, unit, thresholds, why }
}

const KB: f64 = 1_024.0;
const MB: f64 = KB * KB;
const GB: f64 = KB * MB;

use Group::{
    Bloat, Cache, Checkpoints, Connections, Database, Disk, Errors, Indexes, Locks, Pooler, Queries,
    Replication, ResultCache, Transactions, Vacuum, Views,
};
use Unit::{Bytes, Count, Milliseconds, PerSecond, Percent, Seconds};

/// All checks, in the order in which they are shown.
#[rustfmt::skip]
pub static DEFINITIONS: &[Definition] = &[
    check("database.up", Database, "Answer of the database", Milliseconds, at(1_000.0, NEVER),
        "the time of one look at the database; critical when it gives no answer, refuses logins or all connections are taken. A look takes a few milliseconds, so a second is a database under stress"),
    check("database.sequences_used", Database, "Sequences used up", Percent, at(75.0, 90.0),
        "of the values of the fullest sequence, or of the column that takes them where that ends first; as of the last report on space. At its end every insert fails, and widening a large table takes weeks to prepare"),
    check("connections.used", Connections, "Connections in use", Percent, at(80.0, 90.0),
        "of max_connections, less those reserved for administrators. The last tenth is for restarts of the application, when old and new connections overlap; beyond, logins fail with 53300"),
    check("connections.idle_in_transaction", Connections, "Connections idle in transactions", Percent, at(10.0, 25.0),
        "of the same; those that have been idle for 5 s with a transaction open. Each keeps a connection, its locks and dead rows without doing anything"),
    check("pooler.up", Pooler, "Poolers that give no answer", Count, at(1.0, 1.0),
        "of those that are watched: without it clients do not reach the database"),
    check("pooler.clients_waiting", Pooler, "Clients that wait for the pooler", Count, at(5.0, 50.0),
        "clients in the queue for a server connection. A few for moments are what a pool is for; a queue at the moment of a look is a pool at its limit"),
    check("pooler.longest_wait", Pooler, "Longest wait for the pooler", Seconds, at(1.0, 10.0),
        "of the first in the queue. From a second on people notice, and after ten most drivers give up"),
    check("pooler.servers_busy", Pooler, "Servers of the pooler at work", Percent, at(80.0, 95.0),
        "of the most servers of the busiest pool. Waiting grows without bound towards 100 %: at 80 % the wait is short (Erlang C), at 95 % it is several times the query's own time"),
    check("pooler.clients_used", Pooler, "Client connections of the pooler", Percent, at(80.0, 90.0),
        "of max_client_conn; beyond it clients are refused"),
    check("queries.slow_share", Queries, "Time in slow statements", Percent, at(30.0, 60.0),
        "of all execution time since the last look, in statements whose mean was above slow_ms. A third of the server for what nobody calls fast is worth a look"),
    check("queries.mean_ms", Queries, "Mean time of a statement", Milliseconds, at(100.0, 500.0),
        "since the last look. A request makes several statements, and people notice a tenth of a second"),
    check("queries.longest_running", Queries, "Longest running statement", Seconds, at(300.0, 3_600.0),
        "statements at work now. Services answer in seconds: five minutes is a report or an accident, an hour keeps dead rows from being removed everywhere"),
    check("cache.buffers_hit", Cache, "Blocks found in memory", Percent, at(95.0, 80.0),
        "of blocks asked for since the last look. Frequently used data of a service fits into memory (99 % is usual); below 95 % the disk sets the pace"),
    check("cache.indexes_hit", Cache, "Index blocks found in memory", Percent, at(95.0, 80.0),
        "of blocks of indexes, likewise. Indexes are what must fit first"),
    check("replication.lag_s", Replication, "Replicas' delay", Seconds, at(10.0, 60.0),
        "how old what the slowest replica shows is. Reads after writes go wrong in seconds; a minute would be lost at a failover, or waited for"),
    check("replication.lag_bytes", Replication, "Replicas' delay in WAL", Bytes, at(64.0 * MB, GB),
        "WAL that the slowest replica has not replayed. A few segments of 16 MiB are in flight under load"),
    check("replication.slots_retained", Replication, "WAL kept for slots", Bytes, at(10.0 * GB, 50.0 * GB),
        "by the slot that keeps the most; critical also when it is about to be lost, or is. Without max_slot_wal_keep_size a slot nobody reads fills the disk"),
    check("replication.slots_inactive", Replication, "Slots nobody reads", Count, at(1.0, NEVER),
        "each keeps WAL, and some keep dead rows, for a reader that may never come back"),
    check("replication.broken", Replication, "Replicas missing", Count, at(1.0, 1.0),
        "of those expected: by the setting replicas, else the standbys seen in the past week; backups and logical subscribers are none. Failover and reads count on them"),
    check("replication.receiver", Replication, "Replica hears from its primary", Seconds, at(60.0, 300.0),
        "on a replica: since the last message; critical when nothing receives. A primary at rest sends one every 30 s (half of wal_sender_timeout)"),
    check("replication.replay_delay_s", Replication, "Replica's delay", Seconds, at(10.0, 60.0),
        "on a replica: how old what it shows is, while there is WAL that it has not replayed"),
    check("indexes.unused_bytes", Indexes, "Indexes never read", Bytes, at(GB, NEVER),
        "since statistics began, at least a week ago; unique ones left out. Every write pays for them, but nothing breaks"),
    check("indexes.invalid", Indexes, "Indexes that are not valid", Count, at(1.0, NEVER),
        "left by a CREATE INDEX CONCURRENTLY that failed: it takes space, and time of every write where its build came beyond its first phase; no query uses it"),
    check("indexes.seq_scans", Indexes, "Rows read by scans of large tables", PerSecond, at(1e6, 1e7),
        "rows of tables of 100,000 rows or more that are read one after another. A core reads some millions a second, so from a million on a part of one does nothing else"),
    check("bloat.tables", Bloat, "Waste in tables", Percent, at(20.0, 50.0),
        "of all tables, in those that are worth a rewrite (30 % waste or more); from 100 MiB on. It takes memory and disk from what is used; autovacuum's default leaves up to 20 %"),
    check("bloat.indexes", Bloat, "Waste in indexes", Percent, at(30.0, 60.0),
        "of all B-trees, likewise. A B-tree under random changes settles at two thirds full, so a third is usual"),
    check("locks.waiting", Locks, "Sessions that wait for locks", Count, at(5.0, 20.0),
        "for a second or longer. One is ordinary; several queue behind the same transaction"),
    check("locks.blocked_longest", Locks, "Longest wait for a lock", Seconds, at(10.0, 60.0),
        "people and poolers give up after seconds; the queue behind it takes a connection for each"),
    check("transactions.longest", Transactions, "Longest transaction", Seconds, at(600.0, 3_600.0),
        "nothing that was deleted or replaced since its begin can be removed, in any table"),
    check("transactions.idle_longest", Transactions, "Longest idle in a transaction", Seconds, at(60.0, 600.0),
        "an application that waits for something else while it holds locks; a minute is beyond every request"),
    check("transactions.prepared_oldest", Transactions, "Oldest prepared transaction", Seconds, at(300.0, 3_600.0),
        "a transaction manager ends them in seconds; a forgotten one keeps locks and dead rows for ever, over restarts"),
    check("vacuum.wraparound", Vacuum, "Transaction ids used up", Percent, at(25.0, 50.0),
        "of the 2^31 after which the database takes no more writes; not before 20 % beyond autovacuum_freeze_max_age, at which autovacuum acts by itself (9 % by default). A quarter says that it does not get there, half leaves days"),
    check("vacuum.multixact", Vacuum, "Multixact ids used up", Percent, at(37.5, 60.0),
        "the same for ids of row locks that are shared; autovacuum_multixact_freeze_max_age is 19 % by default"),
    check("vacuum.dead_rows", Vacuum, "Dead rows", Percent, at(40.0, 60.0),
        "of the rows of the worst table with 10,000 dead ones or more. Autovacuum begins at 20 % by default, so twice that is a vacuum that does not keep up or cannot remove them"),
    check("vacuum.workers_busy", Vacuum, "Autovacuum workers at work", Percent, at(100.0, NEVER),
        "of autovacuum_max_workers, now and at the last look: further tables have to wait"),
    check("checkpoints.requested_share", Checkpoints, "Checkpoints forced by WAL", Percent, at(50.0, NEVER),
        "of the checkpoints of the past hour, from five on: fewer are no burden. Those forced by max_wal_size come in bursts and write full pages again; most should come by the clock"),
    check("checkpoints.wal_bytes_per_s", Checkpoints, "WAL written", PerSecond, None,
        "bytes a second since the last look: what replicas, archive and backups have to take"),
    check("disk.free", Disk, "Free disk space", Percent, at(20.0, 10.0),
        "of the fullest file system with data, where this machine has it. A vacuum or an index needs room for a whole copy; at zero the server stops"),
    check("disk.database_bytes", Disk, "Size of the database", Bytes, None,
        "with how it grows"),
    check("errors.deadlocks", Errors, "Deadlocks", Count, at(1.0, 20.0),
        "in the past hour. Each is a transaction that the application has to run again, and two ways of locking in different order"),
    check("errors.rollback_share", Errors, "Transactions rolled back", Percent, at(10.0, 50.0),
        "since the last look, from 100 transactions on. Ordinary services roll back one in a hundred"),
    check("errors.checksum_failures", Errors, "Damaged blocks", Count, at(1.0, 1.0),
        "any is data that the disk or memory has changed. Only where checksums are on: without them nobody sees it"),
    check("errors.temp_bytes", Errors, "Temporary files written", Bytes, at(10.0 * GB, 100.0 * GB),
        "in the past hour, by sorts and hashes that work_mem was too small for"),
    check("views.failing", Views, "Views whose refresh fails", Count, at(1.0, NEVER),
        "five times in a row: what they show grows older until somebody looks"),
    check("views.stale", Views, "Views due by their budget", Count, at(1.0, NEVER),
        "of age or changes at the moment of a look, or not there at all: a scheduler that runs would be at it"),
    check("result_cache.worth", ResultCache, "Requests that the result cache served", Percent, at(70.0, 40.0),
        "from 1,000 requests on. Below 70 % it costs more than it gives: memory, invalidations, and one more thing to fail"),
];

/// All checks as a table in Markdown, for the documentation.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "| check | value | warning | critical | what it is, and why there |\n|---|---|---|---|---|\n",
    );
    for definition in DEFINITIONS {
        let Definition { id, title, unit, thresholds, why, .. } = definition;
        let bound = |pick: fn(&Thresholds) -> f64| {
            let value = thresholds.as_ref().map(pick).filter(|value| value.is_finite());
            value.map_or("–".to_owned(), |value| {
                format!("{} {}", direction(definition), in_unit(value, *unit))
            })
        };
        let (warning, critical) = (bound(|at| at.warning), bound(|at| at.critical));
        let _ = writeln!(text, "| `{id}` | {title} | {warning} | {critical} | {why} |");
    }
    text
}

fn direction(definition: &Definition) -> &'static str {
    if definition.is_bad_below() { "<" } else { "≥" }
}

/// A value with its unit, as `83 %`.
#[must_use]
pub fn in_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Percent => words::percent(value),
        Unit::Seconds => words::seconds(value),
        Unit::Milliseconds => words::seconds(value / 1_000.0),
        Unit::Bytes => words::bytes(value),
        Unit::Count | Unit::Transactions => words::number(value),
        Unit::PerSecond => format!("{}/s", words::number(value)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_named_after_their_group() {
        let ids: BTreeSet<&str> = DEFINITIONS.iter().map(|definition| definition.id).collect();
        assert_eq!(ids.len(), DEFINITIONS.len());
        for definition in DEFINITIONS {
            let group = serde_json::to_value(definition.group).unwrap();
            let (prefix, name) = definition.id.split_once('.').unwrap();
            assert_eq!(group.as_str().unwrap(), prefix, "{}", definition.id);
            assert!(
                !name.is_empty() && !definition.why.is_empty() && definition.title.len() <= 40,
                "{}",
                definition.id
            );
        }
    }

    #[test]
    fn the_reference_has_a_line_for_each() {
        let text = reference();
        assert_eq!(text.lines().count(), DEFINITIONS.len() + 2);
        assert!(
            text.contains("| `connections.used` | Connections in use | ≥ 80 % | ≥ 90 % | of max_connections"),
            "{text}"
        );
        assert!(text.contains("| `disk.free` | Free disk space | < 20 % | < 10 % |"), "{text}");
        assert!(
            text.contains("| `queries.longest_running` | Longest running statement | ≥ 5 min | ≥ 60 min |"),
            "{text}"
        );
        assert!(text.contains("| `disk.database_bytes` | Size of the database | – | – |"), "{text}");
    }
}
