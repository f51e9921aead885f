//! The list, and what is found of each item.

use super::evidence::Evidence;
use super::item::Definition;
use super::report::{ChecklistReport, Counts, Level, Verdict};
use super::{application, database, memory, monitoring, query};

/// Judges every item.
#[must_use]
pub fn check(evidence: &Evidence) -> ChecklistReport {
    let items: Vec<_> = LIST.iter().map(|definition| definition.item(evidence)).collect();
    let count = |verdict| items.iter().filter(|item| item.verdict == verdict).count();
    let counts = Counts {
        met: count(Verdict::Met),
        not_met: count(Verdict::NotMet),
        cannot_tell: count(Verdict::CannotTell),
    };
    ChecklistReport {
        taken_at: evidence.taken_at,
        database: evidence.server.database.clone(),
        server_version: evidence.server.version.clone(),
        counts,
        items,
        missing: evidence.missing.clone(),
        running: evidence.running.clone(),
    }
}

/// Every item, in the order of the report.
pub(super) const LIST: &[Definition] = &[
    Definition {
        id: "database.pg_stat_statements",
        level: Level::Database,
        title: "pg_stat_statements is enabled",
        matters: "without it nobody can tell which statements take the time",
        judge: database::statements,
    },
    Definition {
        id: "database.shared_buffers",
        level: Level::Database,
        title: "shared_buffers is about 25 % of memory",
        matters: "blocks that are not in shared buffers come from the page cache or the disk, at a price \
                  for each",
        judge: memory::shared_buffers,
    },
    Definition {
        id: "database.effective_cache_size",
        level: Level::Database,
        title: "effective_cache_size is about 75 % of memory",
        matters: "the planner shuns indexes whose pages it takes for uncached; it takes no memory itself",
        judge: memory::effective_cache_size,
    },
    Definition {
        id: "database.work_mem",
        level: Level::Database,
        title: "work_mem suits the queries and the memory",
        matters: "sorts and hashes beyond it go to disk; all sessions together must fit in memory",
        judge: memory::work_mem,
    },
    Definition {
        id: "database.parallel_query",
        level: Level::Database,
        title: "Parallel query is on and suits the cores",
        matters: "a report that uses one core only takes several times as long",
        judge: database::parallel_query,
    },
    Definition {
        id: "database.autovacuum",
        level: Level::Database,
        title: "Autovacuum is on, eager enough, and keeps up",
        matters: "dead rows slow down every scan, and old statistics mislead the planner",
        judge: database::autovacuum,
    },
    Definition {
        id: "database.random_page_cost",
        level: Level::Database,
        title: "random_page_cost suits the storage",
        matters: "too high, and the planner prefers reading whole tables to using an index",
        judge: database::random_page_cost,
    },
    Definition {
        id: "database.max_connections",
        level: Level::Database,
        title: "max_connections suits the pools and the cores",
        matters: "more sessions wait for cores rather than for a connection, and each takes memory",
        judge: database::max_connections,
    },
    Definition {
        id: "database.checkpoints",
        level: Level::Database,
        title: "Checkpoints come by the clock",
        matters: "a checkpoint that max_wal_size forces comes too soon: whole pages are written to the WAL \
                  again",
        judge: database::checkpoints,
    },
    Definition {
        id: "application.pooling",
        level: Level::Application,
        title: "Connections are pooled",
        matters: "a session takes megabytes and a new process; a pooler serves thousands of clients with a \
                  few dozen",
        judge: application::pooling,
    },
    Definition {
        id: "application.caching",
        level: Level::Application,
        title: "Results of repeated reads are cached",
        matters: "the fastest query is none",
        judge: application::caching,
    },
    Definition {
        id: "application.prepared_statements",
        level: Level::Application,
        title: "Prepared statements are used",
        matters: "planning a short statement takes longer than executing it",
        judge: application::prepared_statements,
    },
    Definition {
        id: "application.batching",
        level: Level::Application,
        title: "Similar writes are batched",
        matters: "one INSERT of a hundred rows takes a fraction of the time of a hundred of one",
        judge: application::batching,
    },
    Definition {
        id: "application.replicas",
        level: Level::Application,
        title: "Read-heavy load has replicas",
        matters: "the primary does what others could do",
        judge: application::replicas,
    },
    Definition {
        id: "query.indexes",
        level: Level::Query,
        title: "No index is lacking",
        matters: "a statement without its index reads the whole table",
        judge: query::indexes,
    },
    Definition {
        id: "query.slow",
        level: Level::Query,
        title: "No slow statement is left unexplained",
        matters: "what is slow and frequent decides the load; its plan tells why",
        judge: query::slow,
    },
    Definition {
        id: "query.n_plus_one",
        level: Level::Query,
        title: "No statement is repeated in loops (N+1)",
        matters: "one statement for all rows would do, with one round trip",
        judge: query::n_plus_one,
    },
    Definition {
        id: "query.views",
        level: Level::Query,
        title: "Aggregations are calculated beforehand",
        matters: "the same sums need not be summed for each reader",
        judge: query::views,
    },
    Definition {
        id: "query.pagination",
        level: Level::Query,
        title: "Large results are paged, without large OFFSET",
        matters: "rows that OFFSET skips are read all the same, and nobody reads ten thousand rows",
        judge: query::pagination,
    },
    Definition {
        id: "monitoring.health",
        level: Level::Monitoring,
        title: "Health is watched all the time",
        matters: "what nobody watches fails at night",
        judge: monitoring::health,
    },
    Definition {
        id: "monitoring.alerts",
        level: Level::Monitoring,
        title: "Pool exhaustion raises an alert",
        matters: "otherwise clients are the first to notice an exhausted pool",
        judge: monitoring::alerts,
    },
    Definition {
        id: "monitoring.trends",
        level: Level::Monitoring,
        title: "The trend of slow statements is recorded",
        matters: "slow statements were once fast; only a record tells since when they are not",
        judge: monitoring::trends,
    },
    Definition {
        id: "monitoring.replication",
        level: Level::Monitoring,
        title: "Replication lag is watched",
        matters: "a replica that is behind serves yesterday",
        judge: monitoring::replication,
    },
    Definition {
        id: "monitoring.indexes",
        level: Level::Monitoring,
        title: "Index use is reviewed regularly",
        matters: "an index that nobody uses makes every write dearer",
        judge: monitoring::indexes,
    },
];
