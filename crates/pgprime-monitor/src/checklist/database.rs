//! Items about the server and its settings.

use std::collections::BTreeSet;

use super::evidence::{Counters, Evidence, Pooling, Table};
use super::item::Judged;
use super::report::{FixKind, Verdict};
use super::settings::{
    Need, changing, compared, differing, judged, statement, statement_with_reload, values,
};
use super::words::listed;
use crate::health::words::{number, percent, plural, seconds};

/// Tables with fewer dead rows are of no account.
const DEAD_ROWS_MIN: u64 = 1_000;
/// A table with so many times the dead rows from which on autovacuum cleans is behind, not merely due.
const DEAD_ROWS_BEHIND: u64 = 2;
const TABLES_NAMED_MAX: usize = 5;
/// Up to so many sessions cost nothing to speak of while they rest.
const SESSIONS_FEW: u64 = 300;
/// Beyond, so many for each core are more than can ever do anything at a time.
const SESSIONS_PER_CORE_MAX: u64 = 32;
/// Sessions in use from which on the limit is near, as a share of it.
const SESSIONS_NEAR: f64 = 0.8;
/// Fewer checkpoints say nothing.
const CHECKPOINTS_MIN: u64 = 10;
/// From this version on checkpoints are counted in a view of their own.
const CHECKPOINTER_SINCE: u32 = 17;
/// Backups and administrators ask for a few.
const CHECKPOINTS_REQUESTED_SHARE_MAX: f64 = 0.3;

pub(super) fn statements(evidence: &Evidence) -> Judged {
    // The server knows what a library's setting is only once it is loaded: else it is a word that any session may change.
    let size = evidence.setting("pg_stat_statements.max");
    let is_loaded = size.is_some_and(|size| size.context == "postmaster");
    let has_extension = match &evidence.has_statements_extension {
        Ok(has) => *has,
        Err(missing) => return Judged::unseen(missing),
    };
    let create = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;";
    match (is_loaded, has_extension) {
        (false, _) => not_loaded(evidence, if has_extension { None } else { Some(create) }),
        (true, false) => {
            Judged::not_met("loaded, but not created in this database").sql_on_primary(evidence, create)
        }
        (true, true) => collecting(evidence),
    }
}

fn not_loaded(evidence: &Evidence, create: Option<&str>) -> Judged {
    let not_met = Judged::not_met("the server has not loaded pg_stat_statements").after_restart();
    let Some(live) = evidence.setting("shared_preload_libraries") else {
        return not_met.because("shared_preload_libraries cannot be seen by this role: what is in it has to \
                                stay").advice(
            "add pg_stat_statements to shared_preload_libraries, restart the server, then CREATE EXTENSION \
             pg_stat_statements",
        );
    };
    if live.pending_restart {
        return not_met.advice(
            "restart the server: its configuration files have other shared_preload_libraries already",
        );
    }
    let list = match live.setting.trim() {
        "" => "pg_stat_statements".to_owned(),
        list => format!("{list}, pg_stat_statements"),
    };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(statement(evidence, "shared_preload_libraries", &list, Some(&live.source)));
    if lines.is_empty() {
        return not_met.advice(format!("start the server with shared_preload_libraries = {list}"));
    }
    lines.extend(create.filter(|_| !evidence.server.in_recovery).map(str::to_owned));
    not_met.sql(lines.join("\n"))
}

fn collecting(evidence: &Evidence) -> Judged {
    for (name, off, on) in [("pg_stat_statements.track", "none", "top"), ("compute_query_id", "off", "auto")]
    {
        if evidence.is_set(name, off) {
            let judged = Judged::not_met(format!("loaded and created, but {name} is {off}"));
            return match statement_with_reload(evidence, name, on) {
                Some(sql) => judged.sql(sql),
                None => judged.advice(format!("start the server with {name} = {on}")),
            };
        }
    }
    match &evidence.workload {
        Ok(workload) => Judged::met(format!(
            "loaded, created, {} of this database counted",
            plural(workload.statements.len(), "statement")
        )),
        Err(missing) => Judged::unseen(missing),
    }
}

pub(super) fn parallel_query(evidence: &Evidence) -> Judged {
    let names = [
        "max_worker_processes",
        "max_parallel_workers",
        "max_parallel_workers_per_gather",
        "max_parallel_maintenance_workers",
    ];
    match compared(evidence, &names, &[Need::Cores]) {
        Ok(found) => judged(evidence, &found, values(evidence, &names[1..3])),
        Err(judged) => *judged,
    }
}

pub(super) fn random_page_cost(evidence: &Evidence) -> Judged {
    match compared(evidence, &["random_page_cost"], &[Need::Storage]) {
        Ok(found) => {
            let storage =
                evidence.machine.storage.map(|storage| format!(" on {storage}")).unwrap_or_default();
            judged(evidence, &found, format!("{}{storage}", values(evidence, &["random_page_cost"])))
        }
        Err(judged) => *judged,
    }
}

pub(super) fn autovacuum(evidence: &Evidence) -> Judged {
    for name in ["autovacuum", "track_counts"] {
        if evidence.is_set(name, "off") {
            let judged = Judged::not_met(format!("{name} is off"));
            return match statement_with_reload(evidence, name, "on") {
                Some(sql) => judged.sql(sql),
                None => judged.advice(format!("start the server with {name} = on")),
            };
        }
    }
    let mut names = vec![
        "autovacuum",
        "autovacuum_naptime",
        "autovacuum_vacuum_scale_factor",
        "autovacuum_vacuum_insert_scale_factor",
        "autovacuum_analyze_scale_factor",
        "autovacuum_vacuum_cost_delay",
    ];
    names.extend(evidence.machine.cores.map(|_| "autovacuum_max_workers"));
    names.extend(evidence.machine.storage.map(|_| "autovacuum_vacuum_cost_limit"));
    let settings = match compared(evidence, &names, &[]) {
        Ok(found) => judged(evidence, &found, "its settings are eager enough"),
        Err(judged) => *judged,
    };
    let tables = match &evidence.tables {
        Ok(tables) => tables,
        Err(missing) if settings.verdict == Verdict::Met => return Judged::unseen(missing),
        Err(_) => return settings,
    };
    match (settings.verdict, kept_up(evidence, tables)) {
        (Verdict::Met, tables) => match tables.verdict {
            Verdict::Met => Judged::met(format!("{}; {}", settings.evidence, tables.evidence)),
            _ => tables,
        },
        (_, tables) => {
            let evidence_text = format!("{}; {}", settings.evidence, tables.evidence);
            Judged { evidence: evidence_text, ..settings }
        }
    }
}

/// Whether no table is far beyond what autovacuum acts at.
fn kept_up(evidence: &Evidence, tables: &[Table]) -> Judged {
    let off: Vec<&Table> =
        tables.iter().filter(|table| table.is_off && table.dead_rows >= DEAD_ROWS_MIN).collect();
    let is_behind = |table: &&Table| {
        table.is_vacuum_due
            && !table.is_off
            && table.dead_rows >= DEAD_ROWS_MIN
            && table.dead_rows >= DEAD_ROWS_BEHIND.saturating_mul(table.vacuum_dead_rows)
    };
    let behind: Vec<&Table> = tables.iter().filter(is_behind).collect();
    let said =
        |table: &&Table| format!("{} with {} dead rows", table.qualified, number(table.dead_rows as f64));
    if let Some(table) = off.first() {
        let names: Vec<String> = off.iter().map(said).collect();
        let sql = off
            .iter()
            .take(TABLES_NAMED_MAX)
            .map(|table| format!("ALTER TABLE {} RESET (autovacuum_enabled);", table.qualified));
        return Judged::not_met(format!("it is switched off for {}", listed(&names, 3)))
            .because(format!("whoever switched it off for {} was to vacuum by hand", table.qualified))
            .sql_on_primary(evidence, sql.collect::<Vec<_>>().join("\n"));
    }
    if behind.is_empty() {
        return Judged::met(format!("none of {} is behind", plural(tables.len(), "table")));
    }
    let names: Vec<String> = behind.iter().map(said).collect();
    let sql =
        behind.iter().take(TABLES_NAMED_MAX).map(|table| format!("VACUUM (ANALYZE) {};", table.qualified));
    Judged::not_met(format!("it is behind with {}", listed(&names, 3)))
        .because(
            "these have at least twice the dead rows from which on they are cleaned: it has no worker free or is slowed \
             down, or an old transaction, replication slot or prepared transaction holds the rows (pgprime bloat tells which)",
        )
        .sql_on_primary(evidence, sql.collect::<Vec<_>>().join("\n"))
}

pub(super) fn max_connections(evidence: &Evidence) -> Judged {
    let Some(max) = evidence.count("max_connections") else {
        return Judged::cannot_tell(
            "max_connections cannot be seen",
            "the server does not show it to this role",
        );
    };
    let reserved = evidence.count("superuser_reserved_connections").unwrap_or(3)
        + evidence.count("reserved_connections").unwrap_or(0);
    let usable = max.saturating_sub(reserved).max(1);
    if let Some(Ok(pooling)) = &evidence.pooling {
        let pools = pooled(pooling, &evidence.server.database);
        if pools > usable {
            return too_large_pools(pools, usable);
        }
    }
    let used = evidence.sessions.total;
    if used as f64 >= SESSIONS_NEAR * usable as f64 {
        return Judged::not_met(format!("{used} of {usable} connections are in use"))
            .because("when all are taken the database refuses its clients, those of maintenance included")
            .advice(
                "put a pooler between, or make its pools smaller (pgprime plan calculates them), \
                     rather than raise it",
            );
    }
    let pools = pools_text(evidence, usable);
    if max <= SESSIONS_FEW {
        return Judged::met(format!("{max}, {used} of them in use{pools}"));
    }
    let Some(cores) = evidence.machine.cores else {
        let why = "of the server's machine this is not known: cores (--cores 8); state it, or look from \
                   that machine";
        return Judged::cannot_tell(format!("{max}"), why);
    };
    let bound = (u64::from(cores) * SESSIONS_PER_CORE_MAX).max(SESSIONS_FEW);
    match max <= bound {
        true => {
            Judged::met(format!("{max} for {}, {used} of them in use{pools}", plural(cores as usize, "core")))
        }
        false => Judged::not_met(format!(
            "{max} for {}, {used} of them in use{pools}",
            plural(cores as usize, "core")
        ))
        .because(format!(
            "{} of them can be at work at a time; the others wait for a core, and work_mem has to be \
                 shared among all",
            u64::from(cores) * 2
        ))
        .fix(FixKind::Command, "pgprime plan --database-url \"$DATABASE_URL\""),
    }
}

fn pools_text(evidence: &Evidence, usable: u64) -> String {
    match &evidence.pooling {
        Some(Ok(pooling)) => {
            let pools = pooled(pooling, &evidence.server.database);
            format!("; the pools open {pools} of {usable} at most")
        }
        _ => String::new(),
    }
}

/// The most servers that the pooler may open here: a pool for each user that has one, within the database's limit.
fn pooled(pooling: &Pooling, database: &str) -> u64 {
    let report = &pooling.report;
    let names: BTreeSet<&str> = report.pools.iter().map(|pool| pool.database.as_str()).collect();
    // One that clients know by another name may lead here as well: it counts where none has this name.
    let names: Vec<&str> = match names.contains(database) {
        true => vec![database],
        false => names.into_iter().collect(),
    };
    let of_name = |name: &str| {
        let sizes = report.pools.iter().filter(|pool| pool.database == name).filter_map(|pool| pool.size_max);
        let settings = report.databases.iter().find(|settings| settings.name == name);
        sizes.sum::<u64>().min(settings.and_then(|settings| settings.connections_max).unwrap_or(u64::MAX))
    };
    names.into_iter().map(of_name).sum()
}

fn too_large_pools(pools: u64, usable: u64) -> Judged {
    Judged::not_met(format!("the pools may open {pools} connections, the database has {usable}"))
        .because("when all are taken the database refuses further connections, those of maintenance included")
        .fix(FixKind::Setting, format!("max_db_connections = {}", usable * 4 / 5))
}

pub(super) fn checkpoints(evidence: &Evidence) -> Judged {
    let counters = match &evidence.counters {
        Ok(counters) => *counters,
        Err(missing) => return Judged::unseen(missing),
    };
    if evidence.server.in_recovery {
        return Judged::cannot_tell(
            "this server follows another one",
            "its checkpoints follow those of its primary: look there",
        );
    }
    let Counters { checkpoints_timed, checkpoints_requested, .. } = counters;
    let all = checkpoints_timed + checkpoints_requested;
    let share = checkpoints_requested as f64 / all.max(1) as f64;
    let said = format!(
        "forced: {checkpoints_requested} of {}, {}",
        plural(all as usize, "checkpoint"),
        percent(100.0 * share)
    );
    if all < CHECKPOINTS_MIN {
        return Judged::met(format!("{said}: too few to be a burden"));
    }
    if share <= CHECKPOINTS_REQUESTED_SHARE_MAX {
        return Judged::met(said);
    }
    let names = ["max_wal_size", "checkpoint_timeout", "checkpoint_completion_target"];
    let found = match compared(evidence, &names, &[Need::Memory]) {
        Ok(found) => found,
        Err(judged) => return Judged { evidence: said, ..*judged },
    };
    match differing(&found).as_slice() {
        [] if counters.checkpoints_counted_s.is_none_or(|counted_s| counted_s > counters.loaded_s) => {
            counted_anew(evidence, &said, counters.loaded_s)
        }
        [] => Judged::not_met(said).advice(format!(
            "{}: more than is usual for this machine; double max_wal_size, if backups and restarts did not \
             ask for them",
            values(evidence, &["max_wal_size"])
        )),
        differing => changing(evidence, differing, Judged::not_met(said)),
    }
}

/// The settings are as they are to be, which they may not have been while most of these were counted.
fn counted_anew(evidence: &Evidence, said: &str, loaded_s: f64) -> Judged {
    let counters =
        if evidence.server.version_major >= CHECKPOINTER_SINCE { "checkpointer" } else { "bgwriter" };
    let why = format!(
        "the settings are as calculated, but were last loaded {} ago, and some of these were counted before: count anew, \
         and look again when there are {CHECKPOINTS_MIN}",
        seconds(loaded_s)
    );
    Judged::cannot_tell(said, why).sql(format!("SELECT pg_stat_reset_shared('{counters}');"))
}
