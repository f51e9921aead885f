//! The tables of SHOW, with PgBouncer's columns.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::measured;
use super::stats::{Shown, stats, totals};
use super::table::{Cell, Table, Type, row};
use super::time::timestamp;
use crate::context::{Context, Stage};
use crate::core::{ClientRow, Mode, PoolRow, ServerRow, WorkerSnapshot};
use crate::directory::CONSOLE;
use crate::mail::Detail;
use crate::status::merged_pools;

use Type::{Big, Int, Text};

/// What SHOW can show, for HELP and for errors.
pub(super) const TOPICS: &str = "ACTIVE_SOCKETS|CLIENTS|CONFIG|DATABASES|DNS_HOSTS|DNS_ZONES|HELP|LISTS|PEERS|PEER_POOLS|POOLS|SERVERS|SOCKETS|STATE|\
                                 STATS|STATS_AVERAGES|STATS_TOTALS|TOTALS|USERS|VERSION|\
                                 STATEMENTS|APPLICATIONS|USER_STATISTICS|REPEATS|PARAMETERS";

/// The version as drivers read it: PgBouncer's, whose console this is.
pub(super) const SERVER_VERSION: &str = "1.25.0/bouncer";

/// The version as tools and people read it.
fn version() -> String {
    format!("PgBouncer 1.25.0 (pgprime {})", env!("CARGO_PKG_VERSION"))
}

/// The table for a topic; `None`: there is no such topic.
pub(super) async fn table(context: &Context, topic: &str) -> Option<Table> {
    Some(match topic {
        "stats" => stats(context, Shown::Both).await,
        "stats_totals" => stats(context, Shown::Totals).await,
        "stats_averages" => stats(context, Shown::Averages).await,
        "totals" => totals(context).await,
        "pools" => pools(context).await,
        "clients" => clients(&context.snapshot(Detail::Everything).await),
        "servers" => servers(&context.snapshot(Detail::Everything).await, Sockets::All),
        "sockets" => sockets(&context.snapshot(Detail::Everything).await, Sockets::All),
        "active_sockets" => sockets(&context.snapshot(Detail::Everything).await, Sockets::Active),
        "databases" => databases(context).await,
        "users" => users(context).await,
        "statements" => measured::statements(context).await,
        "applications" => measured::applications(context).await,
        "user_statistics" => measured::users(context).await,
        "repeats" => measured::repeats(context).await,
        "parameters" => measured::parameters(context).await,
        "lists" => lists(context).await,
        "config" => config(context),
        "state" => state(context),
        // There are none: names are looked up by the system, and instances know nothing of one another.
        "dns_hosts" => Table::new(&[("hostname", Text), ("ttl", Big), ("addrs", Text)]),
        "dns_zones" => Table::new(&[("zonename", Text), ("serial", Text), ("count", Int)]),
        "peers" => Table::new(&[("peer_id", Int), ("host", Text), ("port", Int), ("pool_size", Int)]),
        "peer_pools" => Table::new(&PEER_POOL_COLUMNS),
        "version" => single("version", version()),
        "transaction_isolation" => single("transaction_isolation", "read committed".into()),
        "server_version" => single("server_version", SERVER_VERSION.into()),
        "client_encoding" => single("client_encoding", "UTF8".into()),
        _ => return None,
    })
}

fn single(name: &'static str, value: String) -> Table {
    let mut table = Table::new(&[(name, Text)]);
    table.push(row![value]);
    table
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Session => "session",
        Mode::Transaction => "transaction",
        Mode::Statement => "statement",
    }
}

async fn pools(context: &Context) -> Table {
    let mut table = Table::new(&[
        ("database", Text),
        ("user", Text),
        ("cl_active", Int),
        ("cl_waiting", Int),
        ("cl_active_cancel_req", Int),
        ("cl_waiting_cancel_req", Int),
        ("sv_active", Int),
        ("sv_active_cancel", Int),
        ("sv_being_canceled", Int),
        ("sv_idle", Int),
        ("sv_used", Int),
        ("sv_tested", Int),
        ("sv_login", Int),
        ("maxwait", Int),
        ("maxwait_us", Int),
        ("pool_mode", Text),
        ("load_balance_hosts", Text),
    ]);
    for pool in merged_pools(&context.snapshot(Detail::Pools).await) {
        table.push(row![
            pool.database.as_str(),
            pool.user.as_str(),
            pool.clients_active,
            pool.clients_waiting,
            0u32,
            0u32,
            pool.servers_active,
            0u32,
            pool.servers_being_cancelled,
            pool.servers_idle,
            0u32,
            pool.servers_tested,
            pool.servers_login,
            pool.wait_max.as_secs(),
            pool.wait_max.subsec_micros(),
            mode_name(pool.mode),
            None,
        ]);
    }
    table.push(row![
        CONSOLE,
        CONSOLE,
        1u32,
        0u32,
        0u32,
        0u32,
        0u32,
        0u32,
        0u32,
        0u32,
        0u32,
        0u32,
        0u32,
        0u32,
        0u32,
        "statement",
        None
    ]);
    table
}

/// The columns that clients and servers share.
const SOCKET_COLUMNS: [(&str, Type); 21] = [
    ("type", Text),
    ("user", Text),
    ("database", Text),
    ("replication", Text),
    ("state", Text),
    ("addr", Text),
    ("port", Int),
    ("local_addr", Text),
    ("local_port", Int),
    ("connect_time", Text),
    ("request_time", Text),
    ("wait", Int),
    ("wait_us", Int),
    ("close_needed", Int),
    ("ptr", Text),
    ("link", Text),
    ("remote_pid", Int),
    ("tls", Text),
    ("application_name", Text),
    ("prepared_statements", Int),
    ("id", Big),
];

/// Which sockets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sockets {
    All,
    Active,
}

fn clients(snapshots: &[WorkerSnapshot]) -> Table {
    let mut table = Table::new(&SOCKET_COLUMNS);
    push_clients(&mut table, snapshots, Sockets::All);
    table
}

fn servers(snapshots: &[WorkerSnapshot], which: Sockets) -> Table {
    let mut table = Table::new(&SOCKET_COLUMNS);
    push_servers(&mut table, snapshots, which);
    table
}

fn sockets(snapshots: &[WorkerSnapshot], which: Sockets) -> Table {
    let mut table = Table::new(&SOCKET_COLUMNS);
    push_clients(&mut table, snapshots, which);
    push_servers(&mut table, snapshots, which);
    table
}

fn push_clients(table: &mut Table, snapshots: &[WorkerSnapshot], which: Sockets) {
    for (worker, snapshot) in snapshots.iter().enumerate() {
        for client in &snapshot.clients {
            if which == Sockets::All || client.state != "idle" {
                table.push(client_row(client, worker));
            }
        }
    }
}

fn push_servers(table: &mut Table, snapshots: &[WorkerSnapshot], which: Sockets) {
    for (worker, snapshot) in snapshots.iter().enumerate() {
        for server in &snapshot.servers {
            if which == Sockets::All || server.state != "idle" {
                table.push(server_row(server, worker));
            }
        }
    }
}

/// A connection's number as a client of the console names it: unique over all workers.
pub(super) fn pointer(side: char, worker: usize, id: u64) -> String {
    format!("{side}{worker}-{id:x}")
}

/// Bits of an `id` that tell the worker; there are at most 256.
const WORKER_BITS: u32 = 8;
const WORKER_MASK: u64 = (1 << WORKER_BITS) - 1;

/// A connection's number in the column `id`: unique over all workers. The number on its worker has the count of uses
/// in its high half and the place, far below 16 million, in its low half.
fn unique_id(worker: usize, id: u64) -> u64 {
    let (uses, place) = (id >> 32, id & 0xffff_ffff);
    (uses << 32) | ((place << WORKER_BITS) & 0xffff_ffff) | (worker as u64 & WORKER_MASK)
}

/// Worker and number on it of an `id`.
pub(super) fn from_unique_id(id: u64) -> (u16, u64) {
    let worker = u16::try_from(id & WORKER_MASK).unwrap_or_default();
    let (uses, place) = (id >> 32, (id & 0xffff_ffff) >> WORKER_BITS);
    (worker, (uses << 32) | place)
}

fn ago(age: Duration) -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    timestamp(since_epoch.saturating_sub(age))
}

fn client_row(client: &ClientRow, worker: usize) -> Vec<Cell> {
    row![
        "C",
        client.info.user.as_str(),
        client.info.database.as_str(),
        "none",
        client.state,
        client.info.address.as_str(),
        client.info.port,
        client.info.local_address.as_str(),
        client.info.local_port,
        ago(client.connected_for),
        ago(client.request_for),
        client.waited.as_secs(),
        client.waited.subsec_micros(),
        0u32,
        pointer('C', worker, client.id),
        client.link.map(|link| pointer('S', worker, link)).unwrap_or_default(),
        client.info.remote_pid,
        client.info.tls,
        client.application_name.as_str(),
        client.prepared_statements,
        unique_id(worker, client.id),
    ]
}

fn server_row(server: &ServerRow, worker: usize) -> Vec<Cell> {
    row![
        "S",
        server.user.as_str(),
        server.database.as_str(),
        "none",
        server.state,
        server.info.address.as_str(),
        server.info.port,
        server.info.local_address.as_str(),
        server.info.local_port,
        ago(server.connected_for),
        ago(server.request_for),
        0u32,
        0u32,
        u32::from(server.close_needed),
        pointer('S', worker, server.id),
        server.link.map(|link| pointer('C', worker, link)).unwrap_or_default(),
        server.info.process_id,
        server.info.tls,
        server.application_name.as_str(),
        server.prepared_statements,
        unique_id(worker, server.id),
    ]
}

const PEER_POOL_COLUMNS: [(&str, Type); 5] = [
    ("peer_id", Int),
    ("cl_active_cancel_req", Int),
    ("cl_waiting_cancel_req", Int),
    ("sv_active_cancel", Int),
    ("sv_login", Int),
];

const DATABASE_COLUMNS: [(&str, Type); 17] = [
    ("name", Text),
    ("host", Text),
    ("port", Int),
    ("database", Text),
    ("force_user", Text),
    ("pool_size", Int),
    ("min_pool_size", Int),
    ("reserve_pool_size", Int),
    ("server_lifetime", Int),
    ("pool_mode", Text),
    ("load_balance_hosts", Text),
    ("max_connections", Int),
    ("current_connections", Int),
    ("max_client_connections", Int),
    ("current_client_connections", Int),
    ("paused", Int),
    ("disabled", Int),
];

async fn databases(context: &Context) -> Table {
    let mut table = Table::new(&DATABASE_COLUMNS);
    let config = context.directory.config();
    let settings = &config.settings;
    let held = context.directory.held();
    let pools = merged_pools(&context.snapshot(Detail::Pools).await);
    let mut names: Vec<&str> = config.databases.keys().map(String::as_str).collect();
    names.extend(pools.iter().map(|pool| pool.database.as_str()));
    names.sort_unstable();
    names.dedup();
    for name in names {
        let Some(database) = context.directory.database(name) else { continue };
        let own: Vec<&PoolRow> = pools.iter().filter(|pool| pool.database == name).collect();
        table.push(row![
            name,
            Some(database.hosts.join(",")).filter(|hosts| !hosts.is_empty()),
            database.port,
            database.dbname.clone().unwrap_or_else(|| name.to_string()),
            database.user.clone(),
            database.pool_size.unwrap_or(settings.default_pool_size),
            database.min_pool_size.unwrap_or(settings.min_pool_size),
            database.reserve_pool_size.unwrap_or(settings.reserve_pool_size),
            database.server_lifetime.unwrap_or(settings.server_lifetime).as_secs(),
            database.pool_mode.map(|mode| mode.to_string()),
            None,
            database.max_db_connections.unwrap_or(settings.max_db_connections),
            own.iter().map(|pool| servers_of(pool)).sum::<usize>(),
            database.max_db_client_connections.unwrap_or(settings.max_db_client_connections),
            own.iter().map(|pool| pool.clients_active + pool.clients_waiting).sum::<usize>(),
            u32::from(held.all_paused || held.paused.contains(name)),
            u32::from(held.disabled.contains(name)),
        ]);
    }
    table.push(row![
        CONSOLE,
        None,
        settings.listen_port,
        CONSOLE,
        CONSOLE.to_string(),
        2u32,
        0u32,
        0u32,
        0u32,
        "statement",
        None,
        0u32,
        0u32,
        0u32,
        1u32,
        0u32,
        0u32
    ]);
    table
}

fn servers_of(pool: &PoolRow) -> usize {
    pool.servers_active
        + pool.servers_idle
        + pool.servers_tested
        + pool.servers_being_cancelled
        + pool.servers_login
}

async fn users(context: &Context) -> Table {
    let mut table = Table::new(&[
        ("name", Text),
        ("pool_size", Int),
        ("reserve_pool_size", Int),
        ("pool_mode", Text),
        ("max_user_connections", Int),
        ("current_connections", Int),
        ("max_user_client_connections", Int),
        ("current_client_connections", Int),
    ]);
    let config = context.directory.config();
    let settings = &config.settings;
    let pools = merged_pools(&context.snapshot(Detail::Pools).await);
    let secrets = context.directory.secrets();
    let mut names: Vec<&str> = secrets.keys().chain(config.users.keys()).map(String::as_str).collect();
    names.extend(pools.iter().map(|pool| pool.user.as_str()));
    names.sort_unstable();
    names.dedup();
    for name in names {
        let user = config.users.get(name);
        let own: Vec<&PoolRow> = pools.iter().filter(|pool| pool.user == name).collect();
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        table.push(row![
            name,
            number(user.and_then(|user| user.pool_size)),
            number(user.and_then(|user| user.reserve_pool_size)),
            user.and_then(|user| user.pool_mode).map(|mode| mode.to_string()),
            user.and_then(|user| user.max_user_connections).unwrap_or(settings.max_user_connections),
            own.iter().map(|pool| servers_of(pool)).sum::<usize>(),
            user.and_then(|user| user.max_user_client_connections)
                .unwrap_or(settings.max_user_client_connections),
            context.directory.clients_of_user(name),
        ]);
    }
    table
}

async fn lists(context: &Context) -> Table {
    let mut table = Table::new(&[("list", Text), ("items", Int)]);
    let config = context.directory.config();
    let pools = merged_pools(&context.snapshot(Detail::Pools).await);
    let used_clients: usize = pools.iter().map(|pool| pool.clients_active + pool.clients_waiting).sum();
    let logged_in_or_in = context.directory.clients.used() as usize;
    let free_servers: usize = pools.iter().map(|pool| pool.servers_idle).sum();
    let used_servers: usize = pools.iter().map(servers_of).sum();
    for (list, items) in [
        ("databases", config.databases.len() + 1),
        ("users", context.directory.secrets().len()),
        ("peers", 0),
        ("pools", pools.len() + 1),
        ("peer_pools", 0),
        ("free_clients", 0),
        ("used_clients", used_clients),
        ("login_clients", logged_in_or_in.saturating_sub(used_clients)),
        ("free_servers", free_servers),
        ("used_servers", used_servers - free_servers),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ] {
        table.push(row![list, items]);
    }
    table
}

fn config(context: &Context) -> Table {
    let mut table = Table::new(&[("key", Text), ("value", Text), ("default", Text), ("changeable", Text)]);
    for setting in context.directory.config().settings.show() {
        let changeable = if setting.changeable { "yes" } else { "no" };
        table.push(row![setting.key, setting.value, setting.default, changeable]);
    }
    table
}

fn state(context: &Context) -> Table {
    let mut table = Table::new(&[("key", Text), ("value", Text)]);
    let yes = |value: bool| if value { "yes" } else { "no" };
    let is_paused = context.directory.held().all_paused;
    table.push(row!["active", yes(!is_paused && context.stage() == Stage::Running)]);
    table.push(row!["paused", yes(is_paused)]);
    table.push(row!["suspended", "no"]);
    table
}
