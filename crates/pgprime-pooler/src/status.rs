//! The pooler's state, added up over its workers: what console, monitor and REST show.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Instant;

use crate::context::Context;
use crate::core::{
    ClientRow, Counters, Measured, MeasuredPage, MeasuredPart, PoolRow, RepeatRow, ServerRow, StatementRow,
    WorkerSnapshot,
};
use crate::mail::Detail;

/// Applications that a statement is told with, over all workers.
const APPLICATIONS_MAX: usize = 8;

/// A pool over all workers.
#[derive(Clone, Debug)]
pub struct PoolStatus {
    /// What all workers have of it; `index` is of no meaning outside.
    pub row: PoolRow,
    /// The most servers it may have, without its reserve.
    pub size_max: Option<u32>,
    /// Whether new connections to its database are refused.
    pub disabled: bool,
}

/// A pooler at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its pools, by database and user.
    pub pools: Vec<PoolStatus>,
    /// What all of them have added up since the start.
    pub totals: Counters,
    /// Client connections, those logging in included.
    pub clients: u32,
    /// `max_client_conn`.
    pub clients_max: u32,
}

/// Who is connected.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// Clients with the number of their worker.
    pub clients: Vec<(usize, ClientRow)>,
    /// Servers with the number of their worker.
    pub servers: Vec<(usize, ServerRow)>,
}

/// What was measured of statements, by database, user and text.
#[derive(Clone, Debug, Default)]
pub struct Statements {
    /// When the first worker began to count.
    pub since: Option<Instant>,
    /// The statements, those that took the most time first.
    pub rows: Vec<StatementRow>,
}

/// Statements that clients ran again and again.
#[derive(Clone, Debug, Default)]
pub struct Repeats {
    /// When the first worker began to count.
    pub since: Option<Instant>,
    /// The statements, those that took the most time first.
    pub rows: Vec<RepeatRow>,
}

pub(crate) async fn status(context: &Context) -> Status {
    let rows = merged_pools(&context.snapshot(Detail::Pools).await);
    let held = context.directory.held();
    let totals = rows.iter().fold(Counters::default(), |sum, row| sum + row.counters);
    let with_limits = |row: PoolRow| PoolStatus {
        size_max: context.directory.pool_size(&row.database, &row.user),
        disabled: held.disabled.contains(&row.database),
        row,
    };
    Status {
        pools: rows.into_iter().map(with_limits).collect(),
        totals,
        clients: context.directory.clients.used(),
        clients_max: context.directory.config().settings.max_client_conn,
    }
}

pub(crate) async fn sessions(context: &Context) -> Sessions {
    let mut sessions = Sessions::default();
    for (worker, snapshot) in context.snapshot(Detail::Everything).await.into_iter().enumerate() {
        sessions.clients.extend(snapshot.clients.into_iter().map(|row| (worker, row)));
        sessions.servers.extend(snapshot.servers.into_iter().map(|row| (worker, row)));
    }
    sessions
}

/// All executions since the start, or since they were reset.
pub(crate) async fn executions(context: &Context) -> Measured {
    let mut sum = Measured::default();
    let pages = context.measured(MeasuredPart::Users).await;
    pages.iter().flat_map(|page| &page.names).for_each(|row| sum.add(&row.measured));
    sum
}

pub(crate) async fn statements(context: &Context) -> Statements {
    let pages = context.measured(MeasuredPart::Statements).await;
    let since = since(&pages);
    let mut merged: BTreeMap<(String, String, String), StatementRow> = BTreeMap::new();
    for row in pages.into_iter().flat_map(|page| page.statements) {
        let key = (row.database.clone(), row.user.clone(), row.text.clone());
        let Some(sum) = merged.get_mut(&key) else {
            merged.insert(key, row);
            continue;
        };
        sum.measured.add(&row.measured);
        sum.application_names.extend(row.application_names);
    }
    let mut rows: Vec<StatementRow> = merged.into_values().collect();
    rows.iter_mut()
        .for_each(|row| row.application_names = each_once(std::mem::take(&mut row.application_names)));
    rows.sort_by_key(|row| Reverse(row.measured.exec_us()));
    Statements { since, rows }
}

/// Names in order, each once.
fn each_once(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names.retain(|name| !name.is_empty());
    names.truncate(APPLICATIONS_MAX);
    names
}

pub(crate) async fn repeats(context: &Context) -> Repeats {
    let pages = context.measured(MeasuredPart::Repeats).await;
    let since = since(&pages);
    let mut merged: BTreeMap<(String, String, String, Option<String>), RepeatRow> = BTreeMap::new();
    for row in pages.into_iter().flat_map(|page| page.repeats) {
        let key = (row.database.clone(), row.user.clone(), row.text.clone(), row.parent.clone());
        let Some(sum) = merged.get_mut(&key) else {
            merged.insert(key, row);
            continue;
        };
        sum.bursts += row.bursts;
        sum.longest = sum.longest.max(row.longest);
        sum.executions += row.executions;
        sum.exec_us += row.exec_us;
    }
    let mut rows: Vec<RepeatRow> = merged.into_values().collect();
    rows.sort_by_key(|row| Reverse(row.exec_us));
    Repeats { since, rows }
}

/// When the first worker began to count.
pub(crate) fn since(pages: &[MeasuredPage]) -> Option<Instant> {
    pages.iter().filter_map(|page| page.since).min()
}

/// The rows of one pool on all workers, added up.
pub(crate) fn merged_pools(snapshots: &[WorkerSnapshot]) -> Vec<PoolRow> {
    let mut merged: BTreeMap<(String, String), PoolRow> = BTreeMap::new();
    for row in snapshots.iter().flat_map(|snapshot| &snapshot.pools) {
        let key = (row.database.clone(), row.user.clone());
        let Some(sum) = merged.get_mut(&key) else {
            merged.insert(key, row.clone());
            continue;
        };
        sum.clients_active += row.clients_active;
        sum.clients_waiting += row.clients_waiting;
        sum.servers_active += row.servers_active;
        sum.servers_being_cancelled += row.servers_being_cancelled;
        sum.servers_idle += row.servers_idle;
        sum.servers_tested += row.servers_tested;
        sum.servers_login += row.servers_login;
        sum.servers_to_close += row.servers_to_close;
        sum.wait_max = sum.wait_max.max(row.wait_max);
        sum.counters = sum.counters + row.counters;
        sum.connect_error = sum.connect_error.take().or_else(|| row.connect_error.clone());
    }
    merged.into_values().collect()
}
