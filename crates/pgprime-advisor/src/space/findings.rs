//! From what was read to what is worth a word. Pure.

use super::autovacuum::Autovacuum;
use super::finding::{Finding, FindingKind, Severity};
use super::options::SpaceOptions;
use super::relations::{IndexSpace, TableSpace};
use super::remedy::Remedy;
use super::sequences::SequenceSpace;
use super::server::{Server, Settings};
use super::surroundings::{DatabaseAge, Holder, OrphanedSchema};
use super::units::{amount, bytes};
use super::waste::{Waste, WasteFigure};

/// PostgreSQL stops giving out ids a little before two to the 31st.
const ID_AGE_MAX: f64 = 2_147_483_648.0;
/// From here on PostgreSQL itself leaves everything else aside to freeze (vacuum_failsafe_age).
const ID_AGE_CRITICAL: f64 = 1.6e9;
/// Autovacuum is at work and behind when there are this many times the dead rows that it starts at.
const BEHIND_RATIO: f64 = 2.0;
/// From this many rows on, a share of them is too many to wait for.
const LARGE_ROWS: u64 = 10_000_000;
/// Every statement keeps dead rows for its own time; from this age on it is no ordinary one.
const HOLDER_AGE_MIN: u64 = 10_000;
/// A list of tables that are all old for the same reason helps nobody.
const AGED_TABLES_MAX: usize = 20;

/// What findings are made from.
pub(super) struct Facts<'a> {
    pub(super) server: &'a Server,
    pub(super) settings: &'a Settings,
    pub(super) options: &'a SpaceOptions,
    pub(super) tables: &'a [TableSpace],
    pub(super) indexes: &'a [IndexSpace],
    pub(super) sequences: &'a [SequenceSpace],
    pub(super) databases: &'a [DatabaseAge],
    pub(super) holders: &'a [Holder],
    pub(super) orphans: &'a [OrphanedSchema],
    pub(super) never_analyzed: &'a [String],
}

/// All findings, the most severe first, of equal ones those with the most to gain.
pub(super) fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(autovacuum_off(facts));
    found.extend(facts.databases.iter().flat_map(|database| database_age(facts, database)));
    found.extend(facts.sequences.iter().filter_map(|sequence| sequence_end(facts, sequence)));
    for table in facts.tables {
        found.extend(table_bloat(facts, table));
        found.extend(dead_rows(facts, table));
        found.extend(stale_statistics(facts, table));
        found.extend(unlogged(facts, table));
    }
    found.extend(facts.tables.iter().flat_map(|table| table_age(facts, table)).take(AGED_TABLES_MAX));
    found.extend(facts.indexes.iter().filter_map(|index| index_bloat(facts.options, index)));
    found.extend(facts.never_analyzed.iter().map(|table| partitioned_never_analyzed(table)));
    found.extend(facts.orphans.iter().map(orphaned));
    found.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.wasted_bytes.unwrap_or(0))));
    found
}

/// The waste if it is worth a word.
fn reportable(waste: &Waste, options: &SpaceOptions) -> Option<WasteFigure> {
    waste
        .best()
        .filter(|waste| waste.percent >= options.waste_percent_min && waste.bytes >= options.waste_bytes_min)
}

fn waste_words(waste: &Waste, figure: WasteFigure, whole: u64) -> String {
    let how = if waste.measured.is_some() { "measured" } else { "estimated" };
    format!("{} of {} are waste, {:.0} % ({how})", bytes(figure.bytes), bytes(whole), figure.percent)
}

fn table_bloat(facts: &Facts<'_>, table: &TableSpace) -> Option<Finding> {
    let figure = reportable(&table.waste, facts.options)?;
    let whole = table.heap_bytes + table.toast_bytes;
    let rows = table.live_rows + table.dead_rows;
    let dead_percent = if rows > 0 { table.dead_rows as f64 / rows as f64 * 100.0 } else { 0.0 };
    // Dead rows are removed first: a rewrite removes them as well, but need not be the first thing tried.
    let is_dead = dead_percent >= figure.percent / 2.0;
    let mut remedies = Vec::new();
    if is_dead {
        remedies.push(Remedy::vacuum(&table.qualified));
    }
    if facts.server.has_pg_repack {
        remedies.push(Remedy::repack(&facts.server.database, &table.qualified));
    }
    remedies.push(Remedy::vacuum_full(&table.qualified));
    if !facts.server.has_pg_repack {
        remedies.push(
            Remedy::repack(&facts.server.database, &table.qualified)
                .noting("an alternative where the extension pg_repack is installed")
                .not_at_once(),
        );
    }
    let content = if is_dead {
        format!("{} of its rows are dead, {dead_percent:.0} %", amount(table.dead_rows))
    } else {
        "most of it is free already: new rows will use it, only a rewrite gives it back".to_owned()
    };
    Some(Finding {
        severity: Severity::Warning,
        kind: FindingKind::TableBloat,
        object: table.qualified.clone(),
        summary: format!("{}; {content}.", waste_words(&table.waste, figure, whole)),
        wasted_bytes: Some(figure.bytes),
        remedies,
    })
}

pub(crate) fn index_bloat(options: &SpaceOptions, index: &IndexSpace) -> Option<Finding> {
    let figure = reportable(&index.waste, options).filter(|_| index.is_valid)?;
    let remedy = if index.is_exclusion {
        Remedy::reindex_blocking(&index.qualified)
    } else {
        Remedy::reindex(&index.qualified)
    };
    Some(Finding {
        severity: Severity::Warning,
        kind: FindingKind::IndexBloat,
        object: index.qualified.clone(),
        summary: format!("Index of {}: {}.", index.table, waste_words(&index.waste, figure, index.bytes)),
        wasted_bytes: Some(figure.bytes),
        remedies: vec![remedy],
    })
}

fn autovacuum_off(facts: &Facts<'_>) -> Option<Finding> {
    let name = ["autovacuum", "track_counts"].into_iter().find(|name| !facts.settings.is_on(name))?;
    let statement = format!("ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();");
    Some(Finding {
        severity: Severity::Warning,
        kind: FindingKind::AutovacuumOff,
        object: name.to_owned(),
        summary: format!(
            "{name} is off for the whole server: dead rows stay, and statistics grow stale. Nobody but you looks after any \
             table."
        ),
        wasted_bytes: None,
        remedies: vec![Remedy::new(statement, "none", "nothing")],
    })
}

fn dead_rows(facts: &Facts<'_>, table: &TableSpace) -> Option<Finding> {
    let auto = &table.autovacuum;
    let is_many = table.dead_rows >= facts.options.dead_rows_min;
    let ratio = table.dead_rows as f64 / (auto.vacuum_dead_rows.max(1)) as f64;
    let is_behind = is_many && ratio >= if auto.is_enabled { BEHIND_RATIO } else { 1.0 };
    if !is_behind && !auto.is_off_for_table {
        return None;
    }
    let mut remedies = Vec::new();
    if is_behind {
        remedies.push(Remedy::vacuum(&table.qualified));
    }
    if auto.is_off_for_table {
        remedies.push(Remedy::reset_option(&table.qualified, "autovacuum_enabled"));
    } else if is_behind && table.live_rows >= LARGE_ROWS {
        let note = "vacuums earlier and each time for a shorter while";
        remedies
            .push(Remedy::set_option(&table.qualified, "autovacuum_vacuum_scale_factor = 0.02").noting(note));
    }
    let mut summary = match (is_behind, auto.is_off_for_table) {
        (true, _) => format!(
            "{} dead rows beside {} live ones; autovacuum {}.",
            amount(table.dead_rows),
            amount(table.live_rows),
            behind_words(auto)
        ),
        (false, _) => "Autovacuum is switched off for this table; nothing is due now.".to_owned(),
    };
    if is_behind {
        summary.extend(holder_words(facts.holders));
    }
    Some(Finding {
        severity: if is_behind { Severity::Warning } else { Severity::Info },
        kind: if is_behind { FindingKind::DeadRows } else { FindingKind::AutovacuumOff },
        object: table.qualified.clone(),
        summary,
        wasted_bytes: None,
        remedies,
    })
}

fn behind_words(auto: &Autovacuum) -> String {
    let threshold = amount(auto.vacuum_dead_rows);
    match (auto.is_enabled, auto.is_off_for_table) {
        (true, _) => format!("is due from {threshold} on and has not kept up"),
        (false, true) => format!("would be due from {threshold} on but is switched off for this table"),
        (false, false) => format!("would be due from {threshold} on but is switched off"),
    }
}

/// Dead rows that somebody may still see are not removed by any vacuum.
fn holder_words(holders: &[Holder]) -> Option<String> {
    let oldest = holders.first().filter(|holder| holder.transaction_age >= HOLDER_AGE_MIN)?;
    let (kind, name) = (&oldest.kind, &oldest.name);
    let age = amount(oldest.transaction_age);
    Some(format!(
        " The {kind} {name} keeps rows from being removed since {age} transactions: end that first."
    ))
}

fn stale_statistics(facts: &Facts<'_>, table: &TableSpace) -> Option<Finding> {
    let auto = &table.autovacuum;
    let is_never = table.reltuples < 0.0 && table.maintained.last_analyze_seconds_ago().is_none();
    let has_rows = table.live_rows >= facts.options.dead_rows_min;
    let changed = table.changes_since_analyze as f64;
    let is_stale = !is_never
        && changed > BEHIND_RATIO * auto.analyze_changed_rows as f64
        && table.changes_since_analyze >= facts.options.dead_rows_min;
    let summary = match (is_never && has_rows, is_stale) {
        (true, _) => format!("Never analyzed with {} rows: the planner guesses.", amount(table.live_rows)),
        (false, true) => format!(
            "{} rows changed since the last analyze, which is due from {} on.",
            amount(table.changes_since_analyze),
            amount(auto.analyze_changed_rows)
        ),
        (false, false) => return None,
    };
    // Autovacuum comes by itself, a minute later.
    let severity = if auto.is_enabled { Severity::Info } else { Severity::Warning };
    Some(Finding {
        severity,
        kind: FindingKind::StaleStatistics,
        object: table.qualified.clone(),
        summary,
        wasted_bytes: None,
        remedies: vec![Remedy::analyze(&table.qualified)],
    })
}

fn partitioned_never_analyzed(table: &str) -> Finding {
    Finding {
        severity: Severity::Info,
        kind: FindingKind::StaleStatistics,
        object: table.to_owned(),
        summary: "Partitioned and never analyzed as a whole: autovacuum sees to its partitions alone, and the planner \
                  guesses for queries over several."
            .to_owned(),
        wasted_bytes: None,
        remedies: vec![Remedy::analyze(table)],
    }
}

fn unlogged(facts: &Facts<'_>, table: &TableSpace) -> Option<Finding> {
    if !table.is_unlogged {
        return None;
    }
    let replicas = if facts.server.replicas > 0 { " and replicas do not have it" } else { "" };
    let remedy = Remedy::new(
        format!("ALTER TABLE {} SET LOGGED;", table.qualified),
        "ACCESS EXCLUSIVE",
        "every read and write of the table until it is done",
    );
    Some(Finding {
        severity: Severity::Info,
        kind: FindingKind::Unlogged,
        object: table.qualified.clone(),
        summary: format!("Unlogged: a crash empties it{replicas} ({}).", bytes(table.total_bytes)),
        wasted_bytes: None,
        remedies: vec![remedy.noting("writes the table anew, if its rows are to be kept")],
    })
}

fn orphaned(schema: &OrphanedSchema) -> Finding {
    let remedy = Remedy::new(
        format!("DROP SCHEMA {} CASCADE;", schema.qualified),
        "ACCESS EXCLUSIVE on those tables",
        "nothing: their session is gone",
    );
    Finding {
        severity: Severity::Warning,
        kind: FindingKind::OrphanedTemporary,
        object: schema.qualified.clone(),
        summary: format!(
            "{} temporary relations ({}) whose session is gone; they hold back the freezing of transaction ids.",
            schema.relations,
            bytes(schema.bytes)
        ),
        wasted_bytes: Some(schema.bytes),
        remedies: vec![remedy.noting("needs a superuser; autovacuum does it as well, where it runs")],
    }
}

fn sequence_end(facts: &Facts<'_>, sequence: &SequenceSpace) -> Option<Finding> {
    let options = facts.options;
    let severity = match sequence.used_percent {
        _ if sequence.cycles => return None,
        used if used >= options.sequence_critical_percent => Severity::Critical,
        used if used >= options.sequence_warning_percent => Severity::Warning,
        _ => return None,
    };
    let last = sequence.last_value.unwrap_or_default();
    let (mut why, mut remedies) = (String::new(), Vec::new());
    if let Some(column) = &sequence.column {
        if column.is_narrower {
            why = format!(" The column {} of {} is only {}.", column.name, column.table, column.column_type);
        }
        if column.column_type != "bigint" {
            remedies.push(Remedy::widen_column(&column.table, &column.name));
        }
    }
    let follows = sequence.column.as_ref().is_some_and(|column| column.is_identity && !column.is_narrower);
    if sequence.sequence_type != "bigint" && !follows {
        remedies.push(Remedy::widen_sequence(&sequence.qualified));
    }
    if remedies.is_empty() {
        remedies.push(Remedy::unbound_sequence(&sequence.qualified));
    }
    Some(Finding {
        severity,
        kind: FindingKind::SequenceEnd,
        object: sequence.qualified.clone(),
        summary: format!(
            "{:.1} % used: it is at {last} and ends at {}; then every insert fails.{why}",
            sequence.used_percent, sequence.end_value
        ),
        wasted_bytes: None,
        remedies,
    })
}

/// Whether ids of this age are worth a word.
fn age_severity(age: u64, freeze_age_max: u64, options: &SpaceOptions) -> Option<Severity> {
    let age = age as f64;
    if age >= ID_AGE_CRITICAL {
        return Some(Severity::Critical);
    }
    let is_old = freeze_age_max > 0 && age >= freeze_age_max as f64 * options.age_warning_ratio;
    is_old.then_some(Severity::Warning)
}

fn age_words(age: u64, freeze_age_max: u64) -> String {
    format!(
        "{} ids old: autovacuum acts at {}, and at {} the server stops taking writes ({:.0} % of that)",
        amount(age),
        amount(freeze_age_max),
        amount(ID_AGE_MAX as u64),
        age as f64 / ID_AGE_MAX * 100.0
    )
}

fn database_age(facts: &Facts<'_>, database: &DatabaseAge) -> Vec<Finding> {
    let limit = |name, otherwise| facts.settings.number(name).unwrap_or(otherwise) as u64;
    let ids = [
        (FindingKind::TransactionAge, database.transaction_age, limit("autovacuum_freeze_max_age", 2e8)),
        (
            FindingKind::MultixactAge,
            database.multixact_age,
            limit("autovacuum_multixact_freeze_max_age", 4e8),
        ),
    ];
    let finding = |(kind, age, freeze_age_max)| {
        let severity = age_severity(age, freeze_age_max, facts.options)?;
        let place = if database.is_own { "" } else { "while connected to that database" };
        let remedy = Remedy::quiet("VACUUM (FREEZE);".to_owned());
        Some(Finding {
            severity,
            kind,
            object: format!("database {}", database.name),
            summary: format!(
                "{}.{}",
                age_words(age, freeze_age_max),
                holder_words(facts.holders).unwrap_or_default()
            ),
            wasted_bytes: None,
            remedies: vec![if place.is_empty() { remedy } else { remedy.noting(place) }],
        })
    };
    ids.into_iter().filter_map(finding).collect()
}

fn table_age(facts: &Facts<'_>, table: &TableSpace) -> Vec<Finding> {
    let auto = &table.autovacuum;
    let ids = [
        (FindingKind::TransactionAge, table.transaction_age, auto.freeze_age_max),
        (FindingKind::MultixactAge, table.multixact_age, auto.multixact_freeze_age_max),
    ];
    let finding = |(kind, age, freeze_age_max): (FindingKind, Option<u64>, u64)| {
        let age = age?;
        Some(Finding {
            severity: age_severity(age, freeze_age_max, facts.options)?,
            kind,
            object: table.qualified.clone(),
            summary: format!("{}.", age_words(age, freeze_age_max)),
            wasted_bytes: None,
            remedies: vec![Remedy::vacuum_freeze(&table.qualified)],
        })
    };
    ids.into_iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_their_severity() {
        let options = SpaceOptions::default();
        for (age, freeze_age_max, expected) in [
            (200_000_000, 200_000_000, None),
            (219_000_000, 200_000_000, None),
            (221_000_000, 200_000_000, Some(Severity::Warning)),
            (120_000, 100_000, Some(Severity::Warning)),
            (1_600_000_000, 2_000_000_000, Some(Severity::Critical)),
            (0, 0, None),
        ] {
            assert_eq!(age_severity(age, freeze_age_max, &options), expected, "{age} of {freeze_age_max}");
        }
        let words = age_words(1_073_741_824, 200_000_000);
        assert!(words.contains("50 % of that"), "{words}");
    }

    #[test]
    fn both_thresholds_have_to_be_met() {
        let options = SpaceOptions::default();
        let waste = |bytes: u64, percent: f64| Waste {
            estimated: Some(WasteFigure { bytes, percent }),
            ..Waste::default()
        };
        assert!(reportable(&waste(10 << 20, 30.0), &options).is_some());
        assert!(reportable(&waste((10 << 20) - 1, 90.0), &options).is_none());
        assert!(reportable(&waste(10 << 30, 29.9), &options).is_none());
        let measured =
            Waste { measured: Some(WasteFigure { bytes: 0, percent: 0.0 }), ..waste(10 << 30, 90.0) };
        assert!(reportable(&measured, &options).is_none(), "what is measured wins");
    }
}
