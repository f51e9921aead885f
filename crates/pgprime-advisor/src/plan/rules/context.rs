//! What the rules look at, and what they say.

use crate::plan::condition::{self, Comparison};
use crate::plan::finding::{Evidence, Finding, Severity, Unit};
use crate::plan::kind::Kind;
use crate::plan::label::label;
use crate::plan::model::{Actual, ConditionKind, Node, NodeId, Plan};
use crate::plan::walk::{Step, steps};

/// A plan with its nodes in a row.
pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) steps: Vec<Step<'a>>,
}

impl<'a> Context<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        Self { plan, steps: steps(plan) }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &'a Node> + '_ {
        self.steps.iter().map(|step| step.node)
    }

    /// Nodes that were executed, with what was measured.
    pub(super) fn executed(&self) -> impl Iterator<Item = (&'a Node, &'a Actual)> + '_ {
        self.nodes().filter_map(|node| Some((node, node.executed()?)))
    }

    pub(super) fn is_executed(&self) -> bool {
        self.plan.is_executed()
    }

    pub(super) fn parent(&self, node: &Node) -> Option<&'a Node> {
        self.steps.get(node.id.0)?.parent.map(|parent| self.steps[parent].node)
    }

    /// The node and all below it.
    pub(super) fn subtree(&self, node: &Node) -> impl Iterator<Item = &'a Node> + '_ {
        let start = node.id.0.min(self.steps.len());
        let end = self.steps.get(start).map_or(start, |step| step.end);
        self.steps[start..end].iter().map(|step| step.node)
    }

    /// Nodes above, the nearest first.
    pub(super) fn above(&self, node: &Node) -> impl Iterator<Item = &'a Node> + '_ {
        std::iter::successors(self.parent(node), |node| self.parent(node))
    }
}

/// How often a node ran, as seen by one process.
pub(super) fn loops(node: &Node) -> f64 {
    node.actual.map_or(0.0, |actual| actual.loops) / node.figures.processes.max(1.0)
}

/// Rows that a scan looked at in all loops, kept or not.
pub(super) fn rows_read(node: &Node, actual: &Actual) -> f64 {
    (actual.rows + node.rows_removed.filter + node.rows_removed.index_recheck) * actual.loops
}

/// Comparisons of the node's filter.
pub(super) fn filter_comparisons(node: &Node) -> Vec<Comparison<'_>> {
    node.condition(ConditionKind::Filter).map(condition::comparisons).unwrap_or_default()
}

/// Whether a sequential scan reads much to hand out little, so that an index would be the better way: measured, or by
/// its cost for each row.
pub(super) fn is_selective(node: &Node) -> bool {
    /// Fewer rows are read in less time than an index costs in writes.
    const REMOVED_ROWS_MIN: f64 = 1000.0;
    /// A table of so few rows is in a block or two, however often it is read.
    const REMOVED_ROWS_PER_LOOP_MIN: f64 = 100.0;
    /// Above this part of the table an index is no gain.
    const KEPT_SHARE_MAX: f64 = 0.05;
    /// A page read at random costs 4; a row found by an index takes one or two of them.
    const COST_PER_ROW_MIN: f64 = 10.0;
    const COST_MIN: f64 = 100.0;
    if node.kind != Kind::SeqScan || node.condition(ConditionKind::Filter).is_none() {
        return false;
    }
    match (&node.actual, &node.estimate) {
        (Some(actual), _) => {
            let removed = node.rows_removed.filter * actual.loops;
            let kept = actual.rows_total();
            let is_large =
                removed >= REMOVED_ROWS_MIN && node.rows_removed.filter >= REMOVED_ROWS_PER_LOOP_MIN;
            is_large && kept <= KEPT_SHARE_MAX * (kept + removed)
        }
        (None, Some(estimate)) => {
            // Without what its subqueries cost.
            let cost = node.figures.self_cost.unwrap_or(0.0);
            cost >= COST_MIN && cost >= COST_PER_ROW_MIN * estimate.rows.max(1.0)
        }
        (None, None) => false,
    }
}

/// The table with its schema, quoted for a statement.
pub(super) fn table(node: &Node) -> Option<String> {
    let relation = quoted(node.relation.as_deref()?);
    Some(match &node.schema {
        Some(schema) => format!("{}.{relation}", quoted(schema)),
        None => relation,
    })
}

/// An identifier, in quotes where it needs them.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Columns of the node's filter that an index could find rows by: those compared for equality, then one of a range.
pub(super) fn index_columns(node: &Node) -> Vec<&str> {
    const COLUMNS_MAX: usize = 3;
    let (mut equal, mut range): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for comparison in filter_comparisons(node).into_iter().filter(|comparison| comparison.is_required) {
        let Some(column) = condition::bare_column(uncast(comparison.left)) else { continue };
        let list = match comparison.operator {
            "=" => &mut equal,
            "<" | ">" | "<=" | ">=" => &mut range,
            _ => continue,
        };
        if !list.contains(&column) {
            list.push(column);
        }
    }
    range.retain(|column| !equal.contains(column));
    equal.extend(range.into_iter().take(1));
    equal.truncate(COLUMNS_MAX);
    equal
}

/// The column of `(email)::text`, which is how PostgreSQL writes a varchar column.
fn uncast(expression: &str) -> &str {
    let expression = condition::without_parentheses(expression);
    expression.strip_suffix("::text").map_or(expression, condition::without_parentheses)
}

/// A problem without its rule's name.
pub(super) struct Found(Finding);

impl Found {
    /// A problem at a node, as grave as the node's part of the whole with all below it.
    pub(super) fn at(context: &Context<'_>, node: &Node, explanation: String) -> Self {
        let severity = Severity::of_share(node.figures.total_share);
        Self::new(context, Some(node.id), label(node), severity, explanation)
    }

    /// A problem of the plan as a whole that concerns this part of it.
    pub(super) fn of_plan(context: &Context<'_>, share: f64, explanation: String) -> Self {
        Self::new(context, None, "the statement".to_owned(), Severity::of_share(share), explanation)
    }

    fn new(
        context: &Context<'_>,
        node: Option<NodeId>,
        place: String,
        severity: Severity,
        explanation: String,
    ) -> Self {
        Self(Finding {
            rule: "",
            title: "",
            severity,
            node,
            place,
            is_estimate: !context.is_executed(),
            explanation,
            evidence: Vec::new(),
            advice: String::new(),
            statement: None,
        })
    }

    pub(super) fn severity(mut self, severity: Severity) -> Self {
        self.0.severity = severity;
        self
    }

    pub(super) fn number(mut self, name: &'static str, value: f64, unit: Unit) -> Self {
        self.0.evidence.push(Evidence { name, value, unit });
        self
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = advice.into();
        self
    }

    pub(super) fn statement(mut self, statement: Option<String>) -> Self {
        self.0.statement = statement;
        self
    }

    /// The finding of the rule.
    pub(super) fn named(mut self, rule: &'static str, title: &'static str) -> Finding {
        self.0.rule = rule;
        self.0.title = title;
        self.0
    }
}
