//! The tree: figures on the left, nodes on the right.

use super::wrap::{COLUMNS_MAX, wrap};
use crate::plan::figures::Direction;
use crate::plan::finding::Finding;
use crate::plan::format;
use crate::plan::label::label;
use crate::plan::model::{ConditionKind, Node, Plan, SpaceType};

/// The least room for text: deeper nodes are drawn no further to the right.
const TEXT_COLUMNS_MIN: usize = 40;
const BAR_COLUMNS: usize = 8;
/// Longer conditions, such as lists of constants, are cut.
const CONDITION_CHARACTERS_MAX: usize = 400;

/// The tree, with problems marked by their place in `findings`; each line ends with a line end.
#[must_use]
pub fn render_tree(plan: &Plan, findings: &[Finding]) -> String {
    let is_timed = plan.whole_ms().is_some();
    let mut tree = Tree { is_timed, findings, lines: Vec::new() };
    tree.lines.push(format!("{:>9} {:>9} {:BAR_COLUMNS$}  {}", "total", "self", "", "node"));
    tree.node(&plan.root, "", "", "");
    tree.lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

struct Tree<'a> {
    is_timed: bool,
    findings: &'a [Finding],
    lines: Vec<String>,
}

impl Tree<'_> {
    /// Writes the node behind `prefix` and `branch`; what is below it goes behind `prefix` and `rest`.
    fn node(&mut self, node: &Node, prefix: &str, branch: &str, rest: &str) {
        let gutter = self.gutter(node);
        let blank = " ".repeat(gutter.chars().count());
        let below = format!("{prefix}{rest}");
        let stem = if node.children.is_empty() { "     " } else { "│    " };
        let details = format!("{below}{stem}");
        let width =
            |prefix: &str| COLUMNS_MAX.saturating_sub(gutter.chars().count() + prefix.chars().count());
        let mut head = label(node);
        if let Some(name) = &node.subplan_name {
            head = format!("{name}: {head}");
        }
        for (row, text) in wrap(&head, width(&below)).into_iter().enumerate() {
            let (figures, stem) = if row == 0 { (&gutter, branch) } else { (&blank, rest) };
            self.lines.push(format!("{figures}{prefix}{stem}{text}"));
        }
        for detail in self.details(node) {
            for text in wrap(&detail, width(&details)) {
                self.lines.push(format!("{blank}{details}{text}"));
            }
        }
        self.children(node, &below, blank.chars().count());
    }

    fn children(&mut self, node: &Node, below: &str, gutter: usize) {
        let has_room = COLUMNS_MAX.saturating_sub(gutter + below.chars().count() + 3 + 5) >= TEXT_COLUMNS_MIN;
        let last = node.children.len().saturating_sub(1);
        for (at, child) in node.children.iter().enumerate() {
            match (has_room, at == last) {
                (true, true) => self.node(child, below, "└─ ", "   "),
                (true, false) => self.node(child, below, "├─ ", "│  "),
                // As far to the right as it goes: all that is below stands in one column.
                (false, _) => self.node(child, below, "» ", ""),
            }
        }
    }

    fn gutter(&self, node: &Node) -> String {
        let figures = &node.figures;
        let shown = |ms: Option<f64>, cost: Option<f64>| match (self.is_timed, ms, cost) {
            (true, Some(ms), _) => format::milliseconds(ms),
            (false, _, Some(cost)) => format::short(cost),
            _ => String::new(),
        };
        let (total, own) = if node.is_never_executed() {
            (String::new(), String::new())
        } else {
            (shown(figures.total_ms, figures.total_cost), shown(figures.self_ms, figures.self_cost))
        };
        format!("{total:>9} {own:>9} {}  ", bar(figures.self_share))
    }

    fn details(&self, node: &Node) -> Vec<String> {
        let mut details = vec![rows(node)];
        details.extend(conditions(node));
        details.extend(memory(node));
        let here = self.findings.iter().enumerate().filter(|(_, finding)| finding.node == Some(node.id));
        details.extend(
            here.map(|(at, finding)| {
                format!("▲ [{}] {} ({})", at + 1, finding.title, finding.severity.word())
            }),
        );
        details.retain(|detail| !detail.is_empty());
        details
    }
}

/// The node's own part of the whole.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a few columns"
    )]
    let eighths = (share.clamp(0.0, 1.0) * (BAR_COLUMNS * 8) as f64).round() as usize;
    let filled = format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8]);
    format!("{filled:BAR_COLUMNS$}")
}

fn rows(node: &Node) -> String {
    let mut parts = Vec::new();
    let expected = node.estimate.map(|estimate| estimate.rows);
    match (&node.actual, expected) {
        (Some(actual), _) if actual.loops == 0.0 => parts.push("never executed".to_owned()),
        (Some(actual), Some(expected)) => {
            let off = node.figures.estimate_error.filter(|error| error.factor >= 2.0).map_or(
                String::new(),
                |error| {
                    let word = if error.direction == Direction::Underestimated { "more" } else { "fewer" };
                    format!(" ({}× {word})", format::short(error.factor))
                },
            );
            parts.push(format!("rows {} → {}{off}", format::short(expected), format::short(actual.rows)));
        }
        (Some(actual), None) => parts.push(format!("rows {}", format::short(actual.rows))),
        (None, Some(expected)) => parts.push(format!("rows {} expected", format::short(expected))),
        (None, None) => {}
    }
    parts.extend(
        node.executed()
            .filter(|actual| actual.loops != 1.0)
            .map(|actual| format!("loops {}", format::short(actual.loops))),
    );
    if let (Some(planned), Some(launched)) = (node.workers_planned, node.workers_launched) {
        parts.push(format!("workers {launched} of {planned}"));
    }
    parts.extend(
        node.figures.self_buffers.map(|buffers| blocks(&buffers)).filter(|blocks| !blocks.is_empty()),
    );
    parts.join(" · ")
}

fn blocks(buffers: &crate::plan::measures::Buffers) -> String {
    #[allow(clippy::cast_precision_loss, reason = "numbers of blocks for people")]
    let shown =
        |blocks: u64, word: &str| (blocks > 0).then(|| format!("{} {word}", format::short(blocks as f64)));
    let parts = [
        shown(buffers.shared_hit.saturating_add(buffers.local_hit), "hit"),
        shown(buffers.shared_read.saturating_add(buffers.local_read), "read"),
        shown(buffers.shared_dirtied.saturating_add(buffers.local_dirtied), "dirtied"),
        shown(buffers.temp(), "temporary"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("blocks {}", parts.join(", ")) }
}

fn conditions(node: &Node) -> Vec<String> {
    let removed =
        |rows: f64| if rows > 0.0 { format!(" — removes {}", format::short(rows)) } else { String::new() };
    let mut lines = Vec::new();
    for condition in &node.conditions {
        let (name, rows) = match condition.kind {
            ConditionKind::IndexCond => ("index", 0.0),
            ConditionKind::RecheckCond if node.rows_removed.index_recheck > 0.0 => {
                ("recheck", node.rows_removed.index_recheck)
            }
            // Without rows removed it repeats the condition of the index.
            ConditionKind::RecheckCond => continue,
            ConditionKind::TidCond => ("tid", 0.0),
            ConditionKind::HashCond | ConditionKind::MergeCond => ("on", 0.0),
            ConditionKind::JoinFilter => ("join filter", node.rows_removed.join_filter),
            ConditionKind::Filter => ("filter", node.rows_removed.filter),
            ConditionKind::OneTimeFilter => ("one-time filter", 0.0),
            ConditionKind::RunCondition => ("run condition", 0.0),
            ConditionKind::OrderBy => ("order by", 0.0),
        };
        lines.push(format!("{name} {}{}", cut(&condition.text), removed(rows)));
    }
    for (name, keys) in [("sort by", &node.sort_keys), ("group by", &node.group_keys)] {
        if !keys.is_empty() {
            lines.push(format!("{name} {}", cut(&keys.join(", "))));
        }
    }
    lines.extend(node.cache_key.as_ref().map(|key| format!("cache key {}", cut(key))));
    lines
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CONDITION_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn memory(node: &Node) -> Vec<String> {
    #[allow(clippy::cast_precision_loss, reason = "sizes for people")]
    let size = |kib: u64| format::kibibytes(kib as f64);
    let mut lines = Vec::new();
    lines.extend(node.sort.as_ref().map(|sort| {
        let place = if sort.space_type == SpaceType::Disk { "on disk" } else { "in memory" };
        format!("{}, {} {place}", sort.method, size(sort.space_kib))
    }));
    lines.extend(node.hash.map(|hash| {
        let batches = if hash.batches > 1 { format!(", {} batches", hash.batches) } else { String::new() };
        let disk = hash.disk_kib.map_or(String::new(), |disk| format!(", {} on disk", size(disk)));
        format!("hash table {}{batches}{disk}", size(hash.memory_kib))
    }));
    lines.extend(node.cache.map(|cache| {
        format!("cache hits {}, misses {}, evictions {}", cache.hits, cache.misses, cache.evictions)
    }));
    lines.extend(
        node.heap_blocks
            .filter(|blocks| blocks.lossy > 0)
            .map(|blocks| format!("bitmap {} blocks exact, {} lossy", blocks.exact, blocks.lossy)),
    );
    lines.extend(
        node.heap_fetches
            .filter(|fetches| *fetches > 0.0)
            .map(|fetches| format!("heap fetches {}", format::short(fetches))),
    );
    lines
}
