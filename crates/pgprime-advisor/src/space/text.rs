//! The report for people.

use super::finding::{Finding, Severity};
use super::layout::{fit, wrap, wrap_sql};
use super::relations::{Growth, IndexSpace, TableSpace};
use super::remedy::Remedy;
use super::report::SpaceReport;
use super::units::{ago, bytes};
use super::waste::{NoEstimate, Waste};

/// Relations in each table.
const ROWS_MAX: usize = 15;
/// Findings with their statements; a person works through fewer at a time, and JSON has them all.
const FINDINGS_MAX: usize = 40;

/// The report for people: findings with statements and locks, then the largest relations. Lines of at most 100 columns.
#[must_use]
pub fn text(report: &SpaceReport) -> String {
    let server = &report.server;
    let mut text = format!(
        "Space in database {}, PostgreSQL {}",
        fit(&server.database, 40),
        server.version.split(' ').next().unwrap_or_default()
    );
    text.extend(report.database_bytes.map(|size| format!(", {}", bytes(size))));
    text.push('\n');
    text += &wrap("Only this database is looked at: run it once for each of the others.", 0);
    if server.in_recovery {
        text += &wrap("This server follows another one: run the statements there.", 0);
    }
    text += &findings(report);
    text += &largest_tables(&report.tables);
    text += &largest_indexes(&report.indexes);
    if !report.missing.is_empty() {
        text += "\nNot seen\n";
    }
    for missing in &report.missing {
        text += &wrap(&format!("{}: {}.", missing.what, missing.why), 2);
        text.extend(missing.statement.as_ref().map(|statement| wrap_sql(statement, 6)));
    }
    text
}

fn findings(report: &SpaceReport) -> String {
    if report.findings.is_empty() {
        return "\nNo findings.\n".to_owned();
    }
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let mut text = format!(
        "\nFindings: {} critical, {} warnings, {} for information\n",
        count(Severity::Critical),
        count(Severity::Warning),
        count(Severity::Info)
    );
    text.extend(report.findings.iter().take(FINDINGS_MAX).map(finding));
    let more = report.findings.len().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        text += &format!("\n  … and {more} more\n");
    }
    text
}

fn finding(finding: &Finding) -> String {
    let mut text = "\n".to_owned();
    text += &wrap_sql(&format!("{}: {}", finding.severity.to_string().to_uppercase(), finding.object), 2);
    text += &wrap(&finding.summary, 4);
    text.extend(finding.remedies.iter().map(remedy));
    text
}

/// A statement with its lock and what it blocks.
pub(crate) fn remedy(remedy: &Remedy) -> String {
    let mut text = wrap_sql(&remedy.statement, 6);
    let note = remedy.note.as_ref().map_or_else(String::new, |note| format!(" Note: {note}."));
    text += &wrap(&format!("lock: {}; blocks {}.{note}", remedy.lock, remedy.blocks), 8);
    text
}

fn largest_tables(tables: &[TableSpace]) -> String {
    if tables.is_empty() {
        return "\nNo tables.\n".to_owned();
    }
    let mut text = format!(
        "\nLargest tables\n  {:<32} {:>8} {:>8} {:>8} {:>8} {:>6} {:>6} {:>9}\n",
        "", "total", "rows", "TOAST", "indexes", "waste", "dead", "vacuumed"
    );
    for table in tables.iter().take(ROWS_MAX) {
        let waste = percent(&table.waste);
        let all = (table.live_rows + table.dead_rows).max(1);
        let dead = table.dead_rows as f64 / all as f64 * 100.0;
        text += &format!(
            "  {:<32} {:>8} {:>8} {:>8} {:>8} {:>6} {:>6} {:>9}\n",
            fit(&table.qualified, 32),
            bytes(table.total_bytes),
            bytes(table.heap_bytes),
            bytes(table.toast_bytes),
            bytes(table.indexes_bytes),
            waste,
            format!("{dead:.0} %"),
            ago(table.maintained.last_vacuum_seconds_ago())
        );
        text.extend(table.growth.map(|growth| format!("    {}\n", growth_words(growth))));
    }
    text + &unknown(tables)
}

/// A question mark where an explanation follows.
fn percent(waste: &Waste) -> String {
    match (waste.best(), &waste.not_estimated) {
        (Some(figure), _) => format!("{:.0} %", figure.percent),
        (None, Some(NoEstimate::Small)) => "-".to_owned(),
        (None, _) => "?".to_owned(),
    }
}

fn growth_words(growth: Growth) -> String {
    let size = bytes(growth.bytes.unsigned_abs());
    let than = if growth.bytes < 0 { "less" } else { "more" };
    format!("{size} {than} than {} ago", ago(Some(growth.seconds)))
}

/// Why there is a question mark.
fn unknown(tables: &[TableSpace]) -> String {
    let reason = |table: &TableSpace| {
        let reason = table.waste.not_estimated.as_ref().filter(|_| table.waste.best().is_none())?;
        Some(wrap(&format!("? {}: no estimate: {}.", table.qualified, reason.words()), 2))
    };
    let is_large = |table: &&TableSpace| table.waste.not_estimated != Some(NoEstimate::Small);
    tables.iter().take(ROWS_MAX).filter(is_large).filter_map(reason).collect()
}

fn largest_indexes(indexes: &[IndexSpace]) -> String {
    if indexes.is_empty() {
        return String::new();
    }
    let mut text = format!("\nLargest indexes\n  {:<44} {:<30} {:>8} {:>6}\n", "", "of", "size", "waste");
    for index in indexes.iter().take(ROWS_MAX) {
        let waste = percent(&index.waste);
        text += &format!(
            "  {:<44} {:<30} {:>8} {:>6}\n",
            fit(&index.qualified, 44),
            fit(&index.table, 30),
            bytes(index.bytes),
            waste
        );
    }
    text
}
