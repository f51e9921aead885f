//! PostgreSQL's settings beside what is live.

use pgprime_capacity::postgres::{Comparison, Section, Status};

use super::paint::Colour;
use crate::layout::paragraph;

/// The settings by section; `is_live` tells whether a server was asked.
pub(super) fn lines(settings: &[Comparison], is_live: bool, colour: Colour) -> Vec<String> {
    let mut lines = Vec::new();
    let mut section: Option<Section> = None;
    let width = settings.iter().map(|setting| assignment(setting).chars().count()).max().unwrap_or(0);
    for setting in settings {
        if section != Some(setting.section) {
            lines.push(colour.aside(&format!("  {}", setting.section)));
            section = Some(setting.section);
        }
        let remark = remark(setting, is_live);
        let line = format!("  {:<width$}  {remark}", assignment(setting));
        lines.push(painted(line.trim_end(), setting.status, is_live, colour));
        if setting.status != Status::Met {
            lines.extend(paragraph(&setting.reason, 6));
        }
    }
    lines
}

fn assignment(setting: &Comparison) -> String {
    format!("{} = {}", setting.name, setting.recommended)
}

/// What is live, and what a change takes.
fn remark(setting: &Comparison, is_live: bool) -> String {
    let restart = if setting.restart_needed { "restart" } else { "" };
    let pending = if setting.pending_restart { "a change awaits a restart" } else { "" };
    let live = match (&setting.live, setting.status) {
        (_, Status::Met) => "ok as it is",
        (Some(live), _) => return joined(&[&format!("now {}", shown(live)), restart, pending]),
        (None, _) if is_live => "not shown by the server",
        (None, _) => "",
    };
    joined(&[live, restart, pending])
}

fn shown(live: &str) -> &str {
    if live.is_empty() { "empty" } else { live }
}

fn joined(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

fn painted(line: &str, status: Status, is_live: bool, colour: Colour) -> String {
    match status {
        Status::Met => colour.good(line),
        Status::Differs if is_live => colour.doubtful(line),
        Status::Differs | Status::Unknown => line.to_owned(),
    }
}
