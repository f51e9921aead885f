//! The checklist for people, and its statements for psql.

use std::fmt::Write as _;

use super::report::{ChecklistReport, Fix, FixKind, Item, Level, Verdict};
use super::settings::RELOAD;

/// Columns of a terminal that it fits into.
const WIDTH: usize = 100;
const LEVELS: [Level; 4] = [Level::Database, Level::Application, Level::Query, Level::Monitoring];

/// The checklist for people: by level, what is not met with why and what to do.
#[must_use]
pub fn text(report: &ChecklistReport) -> String {
    let counts = report.counts;
    let heading = format!(
        "Checklist of {} (PostgreSQL {}): {} met, {} not met, {} cannot be told",
        report.database,
        version(report),
        counts.met,
        counts.not_met,
        counts.cannot_tell
    );
    let mut out = String::new();
    push_wrapped(&mut out, "", "", &heading);
    for level in LEVELS {
        let _ = writeln!(out, "\n{}", level.title());
        for item in report.items.iter().filter(|item| item.level == level) {
            push_item(&mut out, item);
        }
    }
    push_missing(&mut out, report);
    if report.items.iter().any(|item| sql_of(item).is_some()) {
        out.push_str("\nWhat SQL can do: pgprime checklist --fix-sql\n");
    }
    out
}

fn push_item(out: &mut String, item: &Item) {
    let mark = match item.verdict {
        Verdict::Met => "  [x] ",
        Verdict::NotMet => "  [ ] ",
        Verdict::CannotTell => "  [?] ",
    };
    push_wrapped(out, mark, INDENT, item.title);
    push_wrapped(out, INDENT, INDENT, &item.evidence);
    if item.verdict == Verdict::Met {
        return;
    }
    push_wrapped(out, "      why: ", "           ", &item.why);
    let Some(fix) = &item.fix else { return };
    let restart = if item.needs_restart { " (takes effect at a restart)" } else { "" };
    let kind = match fix.kind {
        FixKind::Sql => "SQL",
        FixKind::Setting => "setting",
        FixKind::Command => "command",
        FixKind::Advice => "what to do",
    };
    match fix.kind {
        FixKind::Advice => {
            push_wrapped(out, "      what to do: ", "           ", &format!("{}{restart}", fix.text))
        }
        _ => push_verbatim(out, kind, restart, fix),
    }
}

const INDENT: &str = "      ";

/// Statements and commands, to copy: words stay as they are, and only what is longer than a line is broken.
fn push_verbatim(out: &mut String, kind: &str, restart: &str, fix: &Fix) {
    let _ = writeln!(out, "{INDENT}{kind}{restart}:");
    for line in fix.text.lines() {
        push_wrapped(out, "        ", "          ", line);
    }
}

fn push_missing(out: &mut String, report: &ChecklistReport) {
    if report.missing.is_empty() {
        return;
    }
    out.push_str("\nNot seen\n");
    for missing in &report.missing {
        push_wrapped(out, "  ", INDENT, &format!("{}: {}", missing.what, missing.why));
        for line in missing.statement.iter().flat_map(|statement| statement.lines()) {
            push_wrapped(out, INDENT, INDENT, line);
        }
    }
}

/// Words in lines of at most [`WIDTH`]; one that is longer has a line of its own, cut.
fn push_wrapped(out: &mut String, first: &str, further: &str, words: &str) {
    let mut line = first.to_owned();
    let mut has_word = false;
    for word in words.split_whitespace() {
        let width = line.chars().count() + word.chars().count() + usize::from(has_word);
        if has_word && width > WIDTH {
            let _ = writeln!(out, "{}", line.trim_end());
            line = further.to_owned();
            has_word = false;
        }
        if has_word {
            line.push(' ');
        }
        line.push_str(word);
        has_word = true;
        while line.chars().count() > WIDTH {
            let rest: String = line.chars().skip(WIDTH).collect();
            let cut: String = line.chars().take(WIDTH).collect();
            let _ = writeln!(out, "{cut}");
            line = format!("{further}{rest}");
        }
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

fn sql_of(item: &Item) -> Option<&str> {
    let fix = item.fix.as_ref().filter(|fix| fix.kind == FixKind::Sql && item.verdict == Verdict::NotMet)?;
    Some(&fix.text)
}

/// What SQL can do for items that are not met, for psql: nothing but statements and comments with the reasons. Statements
/// that may not run in a transaction are among them.
#[must_use]
pub fn fix_sql(report: &ChecklistReport) -> String {
    let mut out = String::new();
    push_comment(
        &mut out,
        &format!(
            "pgprime checklist of {}, PostgreSQL {}, {:.0}",
            report.database,
            version(report),
            report.taken_at
        ),
    );
    let fixes: Vec<(&Item, &str)> =
        report.items.iter().filter_map(|item| Some((item, sql_of(item)?))).collect();
    if fixes.is_empty() {
        push_comment(&mut out, "Nothing that SQL can do is left to do.");
        return out;
    }
    push_comment(
        &mut out,
        "Not within a transaction: ALTER SYSTEM and CREATE INDEX CONCURRENTLY refuse that.",
    );
    let mut is_reload_needed = false;
    for (item, sql) in &fixes {
        out.push('\n');
        push_comment(&mut out, &format!("{}: {}", item.id, item.evidence));
        push_comment(&mut out, &item.why);
        if item.needs_restart {
            push_comment(&mut out, "Takes effect at a restart of the server.");
        }
        for line in sql.lines() {
            match line == RELOAD {
                true => is_reload_needed = true,
                false => {
                    let _ = writeln!(out, "{line}");
                }
            }
        }
    }
    if is_reload_needed {
        let _ = writeln!(out, "\n{RELOAD}");
    }
    let restarts: Vec<&str> =
        fixes.iter().filter(|(item, _)| item.needs_restart).map(|(item, _)| item.id).collect();
    if !restarts.is_empty() {
        out.push('\n');
        push_comment(&mut out, &format!("Now restart the server, for {}.", restarts.join(", ")));
    }
    out
}

/// The number alone; what distributions add is for logs.
fn version(report: &ChecklistReport) -> &str {
    report.server_version.split_whitespace().next().unwrap_or_default()
}

/// Whatever is in the words stays a comment: white space of any kind becomes a blank or a new line with its own mark.
fn push_comment(out: &mut String, words: &str) {
    push_wrapped(out, "-- ", "--   ", words);
}
