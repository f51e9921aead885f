//! The figures of all nodes.

use super::figures::{Direction, EstimateError};
use super::kind::Kind;
use super::measures::Buffers;
use super::model::{Node, NodeId, Plan, Relationship};
use super::walk::{self, Step};

/// Numbers the nodes and fills in their figures.
pub(super) fn derive(plan: &mut Plan) {
    number(&mut plan.root, &mut 0);
    elapsed(&mut plan.root, 1.0);
    costs(&mut plan.root, None);
    errors(&mut plan.root, CanStop::No);
    let charges = charges(&walk::steps(plan));
    own(&mut plan.root, &charges);
    let whole = Whole::of(plan);
    shares(&mut plan.root, &whole);
}

impl Plan {
    /// Whether it was executed (ANALYZE).
    #[must_use]
    pub fn is_executed(&self) -> bool {
        self.root.actual.is_some()
    }

    /// Time of the whole, in milliseconds: of the execution, or else of the root; nothing where it was not measured.
    #[must_use]
    pub fn whole_ms(&self) -> Option<f64> {
        let root = self.root.figures.total_ms?;
        Some(self.execution_ms.map_or(root, |execution| execution.max(root)))
    }
}

fn number(node: &mut Node, next: &mut usize) {
    node.id = NodeId(*next);
    *next += 1;
    node.children.iter_mut().for_each(|child| number(child, next));
}

fn elapsed(node: &mut Node, processes: f64) {
    node.figures.processes = processes;
    node.figures.total_ms = node
        .actual
        .and_then(|actual| Some(actual.total_ms? * actual.loops / processes).filter(|ms| ms.is_finite()));
    let (is_gather, loops) = (node.kind.is_gather(), node.actual.map_or(0.0, |actual| actual.loops));
    for child in &mut node.children {
        let below = match child.actual {
            // Each process counts as a loop of the node below the gathering one.
            Some(actual) if is_gather && !child.is_aside() && loops > 0.0 => {
                processes * (actual.loops / loops).max(1.0)
            }
            _ => processes,
        };
        elapsed(child, below);
    }
}

/// `charged`: what the node above was charged for all executions of this one.
fn costs(node: &mut Node, charged: Option<f64>) {
    let once = node.estimate.map(|estimate| estimate.total_cost);
    let total = charged.or(once);
    node.figures.total_cost = total;
    let (Some(total), Some(once)) = (total, once) else {
        node.children.iter_mut().for_each(|child| costs(child, None));
        return;
    };
    let executions = if once > 0.0 { total / once } else { 0.0 };
    let parts: Vec<(f64, bool)> = node.children.iter().map(|child| part(node, child, executions)).collect();
    let fixed: f64 = parts.iter().filter(|(_, is_repeated)| !is_repeated).map(|(cost, _)| cost).sum();
    let repeated: f64 = parts.iter().filter(|(_, is_repeated)| *is_repeated).map(|(cost, _)| cost).sum();
    let fit = |sum: f64, room: f64| if sum > room { room / sum } else { 1.0 };
    let (fixed_fit, repeated_fit) = (fit(fixed, total), fit(repeated, (total - fixed).max(0.0)));
    let mut below = 0.0;
    for (child, (cost, is_repeated)) in node.children.iter_mut().zip(parts) {
        let cost = cost * if is_repeated { repeated_fit } else { fixed_fit };
        below += cost;
        costs(child, Some(cost));
    }
    node.figures.self_cost = Some((total - below).max(0.0));
}

/// What `child` costs within `executions` of `node`, and whether it is run again and again within one of them.
fn part(node: &Node, child: &Node, executions: f64) -> (f64, bool) {
    let once = child.estimate.map_or(0.0, |estimate| estimate.total_cost) * executions;
    let rows =
        |of: Option<&Node>| of.and_then(|of| of.estimate).map_or(1.0, |estimate| estimate.rows.max(1.0));
    let is_inner = child.relationship == Some(Relationship::Inner);
    match child.relationship {
        Some(Relationship::Inner) if node.kind == Kind::NestedLoop => (once * rows(node.outer()), is_inner),
        Some(Relationship::SubPlan) if !is_hashed(node, child) => (once * rows(Some(node)), true),
        _ => (once, false),
    }
}

/// Whether a SubPlan is run once into a hash table.
pub(super) fn is_hashed(node: &Node, child: &Node) -> bool {
    let Some(name) = &child.subplan_name else { return false };
    let hashed = format!("hashed {name}");
    let texts = node.conditions.iter().map(|condition| &condition.text).chain(&node.output);
    texts.into_iter().any(|text| text.contains(&hashed))
}

/// Whether the node above may take fewer rows than there are.
#[derive(Clone, Copy, PartialEq)]
enum CanStop {
    Yes,
    No,
    /// Rows were expected for each of several processes, and others came: nothing can be compared.
    Unknown,
}

fn errors(node: &mut Node, can_stop: CanStop) {
    node.figures.estimate_error = error(node, can_stop);
    let is_merge = node.kind == Kind::MergeJoin;
    let passed = passes_stop(node, can_stop);
    let stops_inner = matches!(node.join_type.as_deref(), Some("Semi" | "Anti"))
        || node.other.get("Inner Unique").is_some_and(|unique| unique == "true");
    for child in &mut node.children {
        let is_inner = child.relationship == Some(Relationship::Inner);
        let stops = child.is_aside() || is_inner && stops_inner && node.kind == Kind::NestedLoop;
        errors(child, if stops { CanStop::Yes } else { passed });
        if is_merge && is_inner {
            // Going back to a mark counts rows once more.
            child.figures.estimate_error = None;
        }
    }
}

fn passes_stop(node: &Node, can_stop: CanStop) -> CanStop {
    match node.kind {
        _ if can_stop == CanStop::Unknown => can_stop,
        Kind::Gather | Kind::GatherMerge if node.workers_launched != node.workers_planned => CanStop::Unknown,
        Kind::Limit | Kind::MergeJoin => CanStop::Yes,
        Kind::Aggregate if node.strategy.as_deref() != Some("Sorted") => CanStop::No,
        ref kind if kind.is_blocking() => CanStop::No,
        _ => can_stop,
    }
}

fn error(node: &Node, can_stop: CanStop) -> Option<EstimateError> {
    // These never count their rows.
    if matches!(node.kind, Kind::BitmapAnd | Kind::BitmapOr | Kind::ModifyTable) {
        return None;
    }
    let (estimate, actual) = (node.estimate?, node.executed()?);
    let error = EstimateError::of(estimate.rows, actual.rows);
    let is_honest = match can_stop {
        CanStop::No => true,
        CanStop::Yes => error.direction == Direction::Underestimated,
        CanStop::Unknown => false,
    };
    is_honest.then_some(error)
}

/// What is to be taken off a node besides its inputs and SubPlans.
#[derive(Clone, Copy, Default)]
struct Charge {
    ms: f64,
    buffers: Buffers,
}

/// Time and blocks of InitPlans and common table expressions, at the nodes that waited for them.
fn charges(steps: &[Step<'_>]) -> Vec<Charge> {
    let mut charges = vec![Charge::default(); steps.len()];
    for step in steps.iter().filter(|step| step.node.relationship == Some(Relationship::InitPlan)) {
        let name = step.node.subplan_name.as_deref().unwrap_or_default();
        let users = match name.strip_prefix("CTE ") {
            Some(cte) => readers(steps, cte),
            None => vec![user(steps, step, name)],
        };
        charge(steps, &mut charges, step.node, users);
    }
    charges
}

/// The scans of a common table expression, those that took longest first.
fn readers(steps: &[Step<'_>], cte: &str) -> Vec<usize> {
    let is_reader =
        |at: &usize| steps[*at].node.kind == Kind::CteScan && steps[*at].node.cte.as_deref() == Some(cte);
    let mut readers: Vec<usize> = (0..steps.len()).filter(is_reader).collect();
    readers.sort_by(|a, b| total_ms(steps[*b].node).total_cmp(&total_ms(steps[*a].node)));
    readers
}

/// The node that asked for an InitPlan's result: of those whose conditions name it, the one that took longest by
/// itself; the one it is shown at where none does.
fn user(steps: &[Step<'_>], init: &Step<'_>, name: &str) -> usize {
    let owner = init.parent.unwrap_or(0);
    let Some(result) = result_name(name) else { return owner };
    let names = |at: &usize| {
        let node = steps[*at].node;
        let texts = node.conditions.iter().map(|condition| &condition.text).chain(&node.output);
        texts.into_iter().any(|text| mentions(text, &result))
    };
    let inner_ms = |at: usize| {
        let below: f64 = steps[at].node.inputs().map(total_ms).sum();
        total_ms(steps[at].node) - below
    };
    let candidates = (owner..steps[owner].end).filter(names);
    candidates.max_by(|a, b| inner_ms(*a).total_cmp(&inner_ms(*b))).unwrap_or(owner)
}

/// How conditions name the result of `InitPlan 1 (returns $0)` or, from 17 on, of `InitPlan 1`.
fn result_name(name: &str) -> Option<String> {
    match name.split_once("(returns ") {
        Some((_, returned)) => returned.split([',', ')']).next().map(str::to_owned),
        None => name.starts_with("InitPlan ").then(|| format!("({name})")),
    }
}

/// Whether `text` has `word` and no digit behind it.
fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| !text[at + word.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

fn charge(steps: &[Step<'_>], charges: &mut [Charge], node: &Node, users: Vec<usize>) {
    let mut left_ms = total_ms(node);
    for (rank, user) in users.into_iter().enumerate() {
        let room = (total_ms(steps[user].node) - charges[user].ms).max(0.0);
        let ms = left_ms.min(room);
        charges[user].ms += ms;
        left_ms -= ms;
        if let (0, Some(buffers)) = (rank, &node.buffers) {
            charges[user].buffers = charges[user].buffers.plus(buffers);
        }
    }
}

fn total_ms(node: &Node) -> f64 {
    node.figures.total_ms.unwrap_or(0.0)
}

fn own(node: &mut Node, charges: &[Charge]) {
    let charge = charges.get(node.id.0).copied().unwrap_or_default();
    let is_part = |child: &&Node| child.relationship != Some(Relationship::InitPlan);
    let below_ms: f64 = node.children.iter().filter(is_part).map(total_ms).sum();
    node.figures.self_ms = node.figures.total_ms.map(|total| (total - below_ms - charge.ms).max(0.0));
    node.figures.self_buffers = node.buffers.map(|buffers| {
        let below = node.children.iter().filter(is_part).filter_map(|child| child.buffers);
        below.fold(buffers.minus(&charge.buffers), |left, child| left.minus(&child))
    });
    node.children.iter_mut().for_each(|child| own(child, charges));
}

/// What shares are of.
struct Whole {
    ms: Option<f64>,
    cost: f64,
}

impl Whole {
    fn of(plan: &Plan) -> Self {
        let cost = plan.root.figures.total_cost.unwrap_or(0.0);
        Self { ms: plan.whole_ms().filter(|ms| *ms > 0.0), cost }
    }

    fn share(&self, ms: Option<f64>, cost: Option<f64>) -> f64 {
        let share = match (self.ms, cost) {
            (Some(whole), _) => ms.unwrap_or(0.0) / whole,
            (None, Some(cost)) if self.cost > 0.0 => cost / self.cost,
            _ => 0.0,
        };
        share.clamp(0.0, 1.0)
    }
}

fn shares(node: &mut Node, whole: &Whole) {
    let figures = &mut node.figures;
    figures.total_share = whole.share(figures.total_ms, figures.total_cost);
    figures.self_share = whole.share(figures.self_ms, figures.self_cost);
    node.children.iter_mut().for_each(|child| shares(child, whole));
}
