//! A plan for people: a summary, the tree with its problems marked, the problems with what to do.
//!
//! No line has more than [`COLUMNS_MAX`] columns, however deep the plan and however long its conditions.

mod tree;
mod wrap;

use super::finding::Finding;
use super::format;
use super::label::label;
use super::model::{Node, Plan};
use super::walk;
use wrap::wrap;

pub use tree::render_tree;

/// The widest line.
pub const COLUMNS_MAX: usize = wrap::COLUMNS_MAX;

/// The summary, the tree and the problems of a plan; it ends with a line end.
#[must_use]
pub fn render(plan: &Plan, findings: &[Finding]) -> String {
    let mut text = summary(plan);
    text.push('\n');
    text.push_str(&render_tree(plan, findings));
    text.push('\n');
    text.push_str(&problems(findings));
    text
}

fn summary(plan: &Plan) -> String {
    let mut parts = Vec::new();
    match (plan.whole_ms(), plan.is_executed()) {
        (Some(whole), _) => parts.push(format!("Execution {}", format::milliseconds(whole))),
        (None, true) => parts.push("Executed without timing".to_owned()),
        (None, false) => {
            let cost = plan.root.estimate.map_or(0.0, |estimate| estimate.total_cost);
            parts.push(format!("Not executed: estimates only, cost {}", format::number(cost)));
        }
    }
    parts.extend(plan.planning_ms.map(|ms| format!("planning {}", format::milliseconds(ms))));
    if let Some(buffers) = plan.root.buffers {
        #[allow(clippy::cast_precision_loss, reason = "numbers of blocks for people")]
        let [hit, read, temp] = [
            buffers.shared_hit.saturating_add(buffers.local_hit) as f64,
            buffers.shared_read.saturating_add(buffers.local_read) as f64,
            buffers.temp() as f64,
        ];
        parts.push(format!("blocks {} hit, {} read", format::number(hit), format::number(read)));
        if temp > 0.0 {
            parts.push(format!("{} temporary", format::number(temp)));
        }
    }
    let mut lines = wrap(&parts.join(" · "), COLUMNS_MAX);
    lines.extend(jit_and_triggers(plan));
    let slowest = slowest(plan);
    if !slowest.is_empty() {
        let word = if plan.whole_ms().is_some() { "Slowest" } else { "Most expensive" };
        lines.extend(wrap(&format!("{word}: {}", slowest.join(", ")), COLUMNS_MAX));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn jit_and_triggers(plan: &Plan) -> Vec<String> {
    let jit = plan.jit.map(|jit| {
        let functions = if jit.functions == 1 { "function" } else { "functions" };
        format!("compiling {} {functions} {}", jit.functions, format::milliseconds(jit.total_ms))
    });
    let triggers = plan.triggers.iter().filter_map(|trigger| {
        let name = trigger.constraint.as_ref().unwrap_or(&trigger.name);
        Some(format!("trigger {name} {}", format::milliseconds(trigger.time_ms?)))
    });
    let parts: Vec<String> = jit.into_iter().chain(triggers).collect();
    if parts.is_empty() { Vec::new() } else { wrap(&format!("Besides: {}", parts.join(", ")), COLUMNS_MAX) }
}

/// The nodes that take most by themselves.
fn slowest(plan: &Plan) -> Vec<String> {
    const NODES_SHOWN: usize = 3;
    const SHARE_MIN: f64 = 0.05;
    let mut nodes: Vec<&Node> = walk::steps(plan).into_iter().map(|step| step.node).collect();
    nodes.retain(|node| node.figures.self_share >= SHARE_MIN);
    nodes.sort_by(|a, b| b.figures.self_share.total_cmp(&a.figures.self_share));
    nodes.truncate(NODES_SHOWN);
    nodes
        .into_iter()
        .map(|node| format!("{} {}", label(node), format::percent(node.figures.self_share)))
        .collect()
}

fn problems(findings: &[Finding]) -> String {
    const INDENT: &str = "      ";
    if findings.is_empty() {
        return "No problem found.\n".to_owned();
    }
    let mut lines = vec![match findings.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    }];
    for (at, finding) in findings.iter().enumerate() {
        let estimated = if finding.is_estimate { ", estimated" } else { "" };
        let head = format!("{} ({}{estimated}): {}", finding.title, finding.severity.word(), finding.place);
        let evidence: Vec<String> = finding.evidence.iter().map(super::finding::Evidence::text).collect();
        let mark = format!("{:>4}  ", format!("[{}]", at + 1));
        let paragraphs = [
            (mark.as_str(), head),
            (INDENT, finding.explanation.clone()),
            (INDENT, evidence.join(" · ")),
            (INDENT, finding.advice.clone()),
            ("      > ", finding.statement.clone().unwrap_or_default()),
        ];
        for (indent, paragraph) in paragraphs {
            let width = COLUMNS_MAX - indent.chars().count();
            let rows = wrap(&paragraph, width).into_iter().filter(|row| !row.is_empty()).enumerate();
            lines.extend(rows.map(|(row, text)| {
                let blank = " ".repeat(indent.chars().count());
                format!("{}{text}", if row == 0 { indent } else { &blank })
            }));
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}
