//! Reports for people.

use std::fmt::Write as _;
use std::time::Duration;

use pgprime_advisor::aggregates::ViewSuggestions;
use pgprime_views::{
    Action, Applied, Changes, HistoryEntry, Plan, RefreshOutcome, Schedule, Status, ViewName, ViewStatus,
    decision_text, declaration,
};

pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    if let Some(sql) = plan.setup {
        let _ = writeln!(text, "pgprime's own tables are missing; apply creates them:\n\n{}", indented(sql));
    }
    for left in &plan.leftovers {
        let _ = writeln!(text, "{left}: left behind by an apply that was killed; apply removes it");
    }
    for item in &plan.items {
        let _ = writeln!(text, "{}: {}: {}", item.view, action(item.action), item.reason);
        for dependent in &item.dependents {
            let _ = writeln!(text, "  made anew with it: {dependent}");
        }
        for sql in &item.sql {
            let _ = writeln!(text, "\n{}", indented(&format!("{sql};")));
        }
    }
    for view in &plan.undeclared {
        let how = if view.was_declared { "no longer declared" } else { "not declared" };
        let _ = writeln!(text, "{}: {how}; it is left alone", view.view);
    }
    let end = if plan.is_done() { "Nothing has to be done." } else { "Nothing was changed." };
    text + end + "\n"
}

pub(super) fn applied(applied: &[Applied]) -> String {
    let mut text = String::new();
    for one in applied {
        let outcome = match (&one.error, one.action) {
            (Some(error), _) => format!("NOT DONE: {error}"),
            (None, Action::Nothing) => "as declared".to_owned(),
            (None, done) => format!("{}, {:.0} ms", action(done), one.duration_ms),
        };
        let _ = writeln!(text, "{}: {outcome}", one.view);
        for dependent in one.dependents.iter().filter(|_| one.error.is_none()) {
            let _ = writeln!(text, "  made anew with it: {dependent}");
        }
        for note in &one.notes {
            let _ = writeln!(text, "  note: {note}");
        }
    }
    or_nothing(text, "No view is declared.")
}

pub(super) fn status(status: &Status) -> String {
    let mut text = String::new();
    for view in &status.views {
        if view.exists {
            let _ = writeln!(text, "{}", one_status(status, view));
        } else {
            let _ = writeln!(text, "{}: MISSING: run `pgprime views apply`", view.view);
        }
    }
    or_nothing(text, "No view is declared.")
}

fn one_status(status: &Status, view: &ViewStatus) -> String {
    let mut text = format!("{}:", view.view);
    let age = view.age_s.map_or("not known".to_owned(), seconds);
    let _ = write!(text, "\n  age {age}; {}", changes(view.changes));
    if let (Some(rows), Some(bytes)) = (view.rows, view.bytes) {
        let _ = write!(text, "\n  {rows} rows, {} kB", bytes / 1_024);
    }
    if let Some(duration) = view.duration_ms {
        let _ = write!(text, "; the last refresh took {duration:.0} ms");
    }
    let _ = write!(text, "\n  next refresh: {}", decision_text(status.now, &view.next));
    if let Some(error) = &view.error {
        let how = if view.is_failing { "FAILING" } else { "failed" };
        let _ = write!(text, "\n  {how}, {} times in a row: {error}", view.failures);
    }
    if let Some(why) = &view.blocks_readers {
        let _ = write!(text, "\n  a refresh blocks its readers: {why}");
    }
    for hint in &view.hints {
        let _ = write!(text, "\n  hint: {hint}");
    }
    if let Some(worth) = &view.worth {
        let _ = write!(
            text,
            "\n  read {} times; {} refreshes took {:.0} ms, {} were skipped",
            worth.reads, worth.refreshes, worth.spent_ms, worth.skips
        );
        if let Some(saved) = worth.saved_ms {
            let verdict = if worth.is_worth_it() == Some(true) { "worth it" } else { "not worth it so far" };
            let _ = write!(text, "; readers saved about {saved:.0} ms: {verdict}");
        }
    }
    text
}

pub(super) fn outcomes(outcomes: &[RefreshOutcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        match outcome {
            RefreshOutcome::Refreshed(done) => {
                let _ = writeln!(
                    text,
                    "{}: refreshed in {:.0} ms, {} rows, {} written",
                    done.view, done.duration_ms, done.rows, done.rows_changed
                );
                if let Some(why) = &done.blocked_readers {
                    let _ = writeln!(text, "  readers had to wait: {why}");
                }
            }
            RefreshOutcome::Busy { view } => {
                let _ = writeln!(text, "{view}: another instance is refreshing it");
            }
            RefreshOutcome::Failed { view, error, failures, is_failing } => {
                let how = if *is_failing { "FAILING" } else { "failed" };
                let _ = writeln!(text, "{view}: {how}, {failures} times in a row: {error}");
            }
        }
    }
    or_nothing(text, "Nothing is due.")
}

pub(super) fn history(entries: &[HistoryEntry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let outcome = match (&entry.error, entry.rows) {
            (Some(error), _) => format!("FAILED: {error}"),
            (None, Some(rows)) => format!("{rows} rows, {} written", entry.rows_changed.unwrap_or(0)),
            (None, None) => String::new(),
        };
        let (at, view, reason) = (entry.started_at, &entry.view, &entry.reason);
        let _ = writeln!(text, "{at:.0}  {view}  {reason}  {:.0} ms  {outcome}", entry.duration_ms);
    }
    or_nothing(text, "Nothing has been refreshed yet.")
}

/// Suggestions as declarations, to be pasted.
pub(super) fn declarations(found: &ViewSuggestions) -> String {
    if found.suggestions.is_empty() {
        return String::new();
    }
    let start = "\nTo have them made and refreshed, take what you want of this into the configuration, and run `pgprime views \
                 apply`:\n";
    let blocks = found.suggestions.iter().map(|one| {
        let every = Schedule::Every(Duration::from_secs_f64(one.refresh_interval_seconds.max(1.0)));
        let name = ViewName::from_catalog("public", &one.name);
        format!("\n{}", declaration(&name, &one.definition, &one.unique_key, &every))
    });
    start.to_owned() + &blocks.collect::<String>()
}

pub(super) fn names(names: &[ViewName]) -> String {
    let text = names.iter().map(|name| format!("{name}\n")).collect();
    or_nothing(text, "There is no materialized view.")
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Nothing => "as declared",
        Action::Create => "create",
        Action::Change => "change",
        Action::Index => "add indexes",
        Action::Refused => "CANNOT BE MADE",
    }
}

fn changes(changes: Changes) -> String {
    match changes {
        Changes::Unknown => "what it lacks is not known".to_owned(),
        Changes::Rows(0) => "nothing has changed since".to_owned(),
        Changes::Rows(rows) => format!("lacks {rows} changed rows"),
        Changes::AtLeast(rows) => format!("lacks at least {rows} changed rows"),
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

fn indented(sql: &str) -> String {
    let lines = sql.lines().map(|line| if line.is_empty() { String::new() } else { format!("    {line}") });
    lines.collect::<Vec<_>>().join("\n")
}

fn or_nothing(text: String, nothing: &str) -> String {
    if text.is_empty() { format!("{nothing}\n") } else { text }
}
