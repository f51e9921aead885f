//! A plan's cost with other scans in it: from the leaves up, what is spared below is spared above.

use std::collections::HashMap;

use super::super::candidate::Candidate;
use super::super::inventory::Inventory;
use super::super::table_use::{Condition, ConditionKind, TableUse};
use super::access::{Access, Wanted, gives_order};
use super::matching::{AllMatched, Matched, all_conditions};
use crate::plan::{self, Kind, Node, Plan, Relationship};

/// A larger share of a table is not read row by row for a join.
const PROBED_SHARE_MAX: f64 = 0.2;
/// The share of a worker's work that the process that leads the workers does not do, for each of them.
const LEADER_BUSY: f64 = 0.3;

/// The candidates that are there, by their tables' places in the inventory.
pub(super) type Chosen<'a> = HashMap<usize, &'a Candidate>;

/// A plan's scans and what is known of their tables.
pub(super) struct Tree<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) matched: AllMatched<'a>,
}

/// A node's cost, by one process.
#[derive(Clone, Copy, Debug)]
struct Cost {
    startup: f64,
    total: f64,
}

impl Cost {
    /// Until this share of the rows is there.
    fn at(self, fraction: f64) -> f64 {
        self.startup + fraction * (self.total - self.startup)
    }
}

/// What the nodes above make of a node.
#[derive(Clone, Copy)]
struct Around<'n> {
    /// The processes that share parallel work.
    processes: f64,
    /// The share of the rows that is read, which a LIMIT makes less than 1.
    fraction: f64,
    /// The order in which the rows have to come: what they would be sorted by otherwise.
    order: Option<&'n [String]>,
    /// How often it is executed.
    loops: f64,
    scans: Scans,
}

/// Which scans may become others.
#[derive(Clone, Copy, PartialEq)]
enum Scans {
    All,
    /// Those that workers do not share: each of them has its part of the others as before.
    NotShared,
}

const ALONE: Around<'_> =
    Around { processes: 1.0, fraction: 1.0, order: None, loops: 1.0, scans: Scans::All };

impl Tree<'_> {
    /// The statement's cost with these candidates, never more than it is.
    pub(super) fn cost(&self, plan: &Plan, chosen: &Chosen<'_>) -> f64 {
        let planned = plan.root.estimate.map_or(0.0, |estimate| estimate.total_cost);
        let pass = Pass { tree: self, chosen };
        pass.node(&plan.root, ALONE).map_or(planned, |cost| cost.total.min(planned))
    }
}

struct Pass<'a> {
    tree: &'a Tree<'a>,
    chosen: &'a Chosen<'a>,
}

impl Pass<'_> {
    /// What the node costs now; None: what it did.
    fn node(&self, node: &Node, around: Around<'_>) -> Option<Cost> {
        let planned = cost(node)?;
        let cheaper = match node.kind {
            Kind::SeqScan | Kind::IndexScan | Kind::IndexOnlyScan | Kind::BitmapHeapScan => {
                self.scan(node, around)
            }
            Kind::Sort | Kind::IncrementalSort => self.sort(node, around),
            Kind::Limit => self.limit(node, around),
            Kind::Gather | Kind::GatherMerge => self.gather(node, around),
            Kind::HashJoin | Kind::MergeJoin | Kind::NestedLoop => self.join(node, around),
            Kind::Aggregate if around.order.is_none() => {
                self.first_or_last(node).or_else(|| self.general(node, around))
            }
            Kind::Append | Kind::SubqueryScan => self.general(node, around),
            _ if around.order.is_some() => None,
            _ => self.general(node, around),
        };
        let cheaper = self.without_asides(node, planned, cheaper);
        // What workers share is compared as if one did it all, and an order with none cannot be compared.
        let alone = Cost { total: planned.total * shared(node, around), ..planned };
        cheaper.filter(|cheaper| {
            around.order.is_some() || cheaper.at(around.fraction) < alone.at(around.fraction)
        })
    }

    /// Subplans that have become cheaper, of a node that may have itself.
    fn without_asides(&self, node: &Node, planned: Cost, cheaper: Option<Cost>) -> Option<Cost> {
        let mut spared = 0.0;
        let below: f64 = node.inputs().filter_map(cost).map(|cost| cost.total).sum();
        for aside in node.children.iter().filter(|child| child.is_aside()) {
            let (Some(before), Some(after)) = (cost(aside), self.node(aside, ALONE)) else { continue };
            let is_once = aside.relationship == Some(Relationship::InitPlan);
            let own = (planned.total - below).max(0.0);
            let times = if is_once { 1.0 } else { (own / before.total.max(0.01)).floor().max(1.0) };
            spared += (before.total - after.total) * times;
        }
        if spared <= 0.0 {
            return cheaper;
        }
        let base = cheaper.unwrap_or(planned);
        let total = (base.total - spared).max(0.0);
        Some(Cost { startup: base.startup.min(total), total })
    }

    fn scan(&self, node: &Node, around: Around<'_>) -> Option<Cost> {
        let matched = self.tree.matched.get(&node.id)?;
        let candidate = *self.chosen.get(&matched.table_use.relation)?;
        if around.scans == Scans::NotShared && node.is_parallel_aware {
            return None;
        }
        let rows_out = node.estimate?.rows * shared(node, around);
        let wanted = Wanted {
            loops: around.loops,
            is_probe: matched.is_probe,
            ..self.wanted(node, matched, matched.table_use, rows_out)
        };
        let access = wanted.access(candidate, around.order.is_some())?;
        if let Some(order) = around.order
            && !(access.is_ordered && gives_order(candidate, access.equal_keys, matched.table_use, order))
        {
            return None;
        }
        let read = access.rows * around.fraction / matched.relation.figures.rows.max(1.0);
        (access.is_worth_all || read <= PROBED_SHARE_MAX)
            .then_some(Cost { startup: access.startup, total: access.total })
    }

    fn wanted<'w>(
        &'w self,
        node: &Node,
        matched: &Matched<'w>,
        table_use: &'w TableUse,
        rows_out: f64,
    ) -> Wanted<'w> {
        Wanted {
            inventory: self.tree.inventory,
            relation: matched.relation,
            table_use,
            part: matched.part,
            seen: matched.seen,
            rows_out,
            clauses: clauses(node),
            loops: 1.0,
            is_probe: false,
        }
    }

    /// Either what is below is sorted as before, or it comes in order by itself.
    fn sort(&self, node: &Node, around: Around<'_>) -> Option<Cost> {
        if around.order.is_some() {
            return None;
        }
        let (planned, input) = (cost(node)?, node.outer()?);
        let before = cost(input)?;
        let own = (planned.total - before.total).max(0.0) * shared(node, around);
        let sorted = self.node(input, Around { fraction: 1.0, ..around }).map(|now| {
            let startup = now.total + (planned.startup - before.total).max(0.0) * shared(node, around);
            Cost { startup, total: (now.total + own).max(startup) }
        });
        let ordered = self.node(input, Around { order: Some(&node.sort_keys), ..around });
        let at = |cost: &Cost| cost.at(around.fraction);
        [sorted, ordered].into_iter().flatten().min_by(|a, b| at(a).total_cmp(&at(b)))
    }

    fn limit(&self, node: &Node, around: Around<'_>) -> Option<Cost> {
        let input = node.outer()?;
        let rows = (node.estimate?.rows, input.estimate?.rows);
        let fraction = (rows.0 / rows.1.max(1.0)).min(1.0);
        let now = self.node(input, Around { fraction, order: None, ..around })?;
        Some(Cost { startup: now.startup, total: now.at(fraction) })
    }

    /// Either one process does what several shared, and nobody has to be started for it, or they go on to share it.
    fn gather(&self, node: &Node, around: Around<'_>) -> Option<Cost> {
        let (planned, input) = (cost(node)?, node.outer()?);
        let workers = node.workers_planned.unwrap_or(1) as f64;
        let processes = (workers + (1.0 - LEADER_BUSY * workers).max(0.0)).max(1.0);
        let alone = self.node(input, Around { processes, ..around });
        let before = cost(input)?;
        let together = self.node(input, Around { scans: Scans::NotShared, ..around }).map(|now| Cost {
            startup: now.startup + (planned.startup - before.startup).max(0.0),
            total: now.total + (planned.total - before.total).max(0.0),
        });
        let at = |cost: &Cost| cost.at(around.fraction);
        let together = together.filter(|_| around.order.is_none());
        [alone, together].into_iter().flatten().min_by(|a, b| at(a).total_cmp(&at(b)))
    }

    /// The node's own work, and its inputs as they are now.
    fn general(&self, node: &Node, around: Around<'_>) -> Option<Cost> {
        let planned = cost(node)?;
        let is_loop = node.kind == Kind::NestedLoop;
        let outer_rows = node.outer().and_then(|outer| Some(outer.estimate?.rows)).unwrap_or(1.0).max(1.0);
        let (mut now, mut before) = (0.0, 0.0);
        let (mut startup_now, mut startup_before) = (0.0, 0.0);
        let mut is_changed = false;
        for (place, input) in node.inputs().enumerate() {
            let was = cost(input)?;
            let is_repeated =
                is_loop && place == 1 && !matches!(input.kind, Kind::Materialize | Kind::Memoize);
            let times = if is_repeated { outer_rows } else { 1.0 };
            let below = Around {
                fraction: if is_pipelined(&node.kind) && place == 0 { around.fraction } else { 1.0 },
                order: around.order.filter(|_| place == 0 || node.kind == Kind::Append),
                loops: if is_loop && place == 1 { outer_rows } else { around.loops },
                ..around
            };
            let changed = self.node(input, below);
            // Without the order of all inputs there is none.
            if changed.is_none() && below.order.is_some() {
                return None;
            }
            is_changed |= changed.is_some();
            let is =
                changed.unwrap_or(Cost { startup: was.startup, total: was.total * shared(input, around) });
            now += is.total * times;
            before += was.total * times;
            startup_now += is.startup;
            startup_before += was.startup;
        }
        if !is_changed {
            return None;
        }
        let own = (planned.total - before).max(0.0) * shared(node, around);
        let total = now + own;
        let startup = if is_pipelined(&node.kind) {
            startup_now + (planned.startup - startup_before).max(0.0)
        } else {
            planned.startup - before.min(planned.startup) + now
        };
        Some(Cost { startup: startup.min(total), total })
    }

    /// `min` and `max` are the first and last row of an index.
    fn first_or_last(&self, node: &Node) -> Option<Cost> {
        let is_plain = node.strategy.as_deref() == Some("Plain") && node.group_keys.is_empty();
        let scan = lone_scan(node.outer()?).filter(|_| is_plain)?;
        let matched = self.tree.matched.get(&scan.id)?;
        let candidate = *self.chosen.get(&matched.table_use.relation)?;
        let table_use = matched.table_use;
        let is_extreme = |output: &String| {
            let call = output.trim_start_matches("PARTIAL ");
            call.starts_with("min(") || call.starts_with("max(")
        };
        let first = table_use.extremes.first()?;
        let is_one = table_use.extremes.iter().all(|other| other == first);
        let calls = table_use.extremes.len() as f64;
        if !is_one || !node.output.iter().all(is_extreme) {
            return None;
        }
        let parts = table_use.relation_parts(matched.part);
        let wanted = self.wanted(scan, matched, table_use, 0.0);
        let access = wanted.access(candidate, true)?;
        let key = candidate.keys.get(access.equal_keys)?;
        if key.item != *first || !access.is_ordered {
            return None;
        }
        // What no key serves is looked for row by row.
        let served = access.equal_keys + usize::from(candidate.predicate.is_some());
        let rest = clauses(scan).saturating_sub(served);
        let rows_out = scan.estimate?.rows.max(1.0);
        let tried = if rest == 0 { 1.0 } else { (access.rows / rows_out).max(1.0) };
        let one = access.startup + (access.total - access.startup) * (tried / access.rows).min(1.0);
        let total = one * calls * parts + 0.02;
        Some(Cost { startup: total, total })
    }

    /// The join as it is with cheaper inputs, or with an input that is looked up for each row of the other.
    fn join(&self, node: &Node, around: Around<'_>) -> Option<Cost> {
        let mut ways = vec![self.general(node, around)];
        if let (Some(outer), Some(inner)) = (node.outer(), node.inner()) {
            let join_type = node.join_type.as_deref().unwrap_or("Inner");
            if matches!(join_type, "Inner" | "Left" | "Semi" | "Anti") {
                ways.push(self.probe(node, outer, inner, around));
            }
            if matches!(join_type, "Inner" | "Right" | "Right Semi" | "Right Anti") {
                ways.push(self.probe(node, inner, outer, around));
            }
        }
        let at = |cost: &Cost| cost.at(around.fraction);
        ways.into_iter().flatten().min_by(|a, b| at(a).total_cmp(&at(b)))
    }

    fn probe(&self, node: &Node, driving: &Node, target: &Node, around: Around<'_>) -> Option<Cost> {
        let driving = without_preparation(driving);
        if around.scans == Scans::NotShared && is_parallel(node) && !is_parallel(driving) {
            return None;
        }
        let driving_shared = shared(driving, around);
        let loops = (driving.estimate?.rows * driving_shared).max(1.0);
        let before = cost(driving)?;
        let now = self.node(driving, Around { loops: around.loops, ..around });
        if now.is_none() && around.order.is_some() {
            return None;
        }
        let driving_cost =
            now.unwrap_or(Cost { startup: before.startup, total: before.total * driving_shared });
        let rows = node.estimate?.rows * shared(node, around);
        let mut scans = Vec::new();
        reachable(target, &mut scans);
        let probes = scans.into_iter().filter_map(|scan| {
            // Of a partitioned table each part is looked into; they are taken to be alike.
            let matched = self.tree.matched.get(&scan.id)?;
            let parts = (matched.seen / matched.part).round().max(1.0);
            let access = self.probed(node, scan, loops, rows / loops / parts)?;
            let scanned = (scan.estimate?.rows * shared(scan, around)).max(1.0);
            let share = (loops * access.rows / scanned).min(1.0);
            Some(loops * access.total * parts + rest(target, scan, share, around)?)
        });
        let cheapest = probes.min_by(f64::total_cmp)?;
        let joined = rows * self.tree.inventory.server.cpu_tuple_cost;
        Some(Cost { startup: driving_cost.startup, total: driving_cost.total + cheapest + joined })
    }

    /// The scan for one row of the other side; None where the candidate does not serve the join.
    fn probed(&self, join: &Node, scan: &Node, loops: f64, rows_each: f64) -> Option<Access> {
        let matched = self.tree.matched.get(&scan.id).filter(|matched| !matched.is_probe)?;
        let candidate = *self.chosen.get(&matched.table_use.relation)?;
        let alias = scan.alias.as_deref().or(scan.relation.as_deref())?;
        let alias = if matched.part < 1.0 { stem(alias) } else { alias };
        let is_joined = |condition: &Condition| {
            let columns = &condition.item.columns;
            let in_text = |text: &str| {
                columns.iter().all(|name| {
                    text.contains(&format!("{alias}.{name}")) || text.contains(&format!("{alias}.\"{name}\""))
                })
            };
            join.conditions.iter().any(|one| in_text(&one.text))
        };
        let is_join = |condition: &Condition| matches!(condition.kind, ConditionKind::Join(_));
        let mut table_use = matched.table_use.clone();
        table_use.conditions.retain(|condition| !is_join(condition) || is_joined(condition));
        let keys = candidate
            .keys
            .iter()
            .map_while(|key| table_use.conditions.iter().find(|condition| condition.item == key.item));
        if !keys.into_iter().any(is_join) {
            return None;
        }
        let base = self.wanted(scan, matched, &table_use, rows_each);
        let access = Wanted { loops, is_probe: true, ..base }.access(candidate, false)?;
        let read = loops * access.rows / matched.relation.figures.rows.max(1.0);
        (read <= PROBED_SHARE_MAX).then_some(access)
    }
}

impl TableUse {
    /// How many parts of a table one stands for.
    fn relation_parts(&self, part: f64) -> f64 {
        if part > 0.0 { (1.0 / part).round() } else { 1.0 }
    }
}

fn cost(node: &Node) -> Option<Cost> {
    node.estimate.map(|estimate| Cost { startup: estimate.startup_cost, total: estimate.total_cost })
}

/// Rows come out while others still go in.
fn is_pipelined(kind: &Kind) -> bool {
    !matches!(kind, Kind::Aggregate | Kind::Hash | Kind::WindowAgg | Kind::SetOp | Kind::Sort)
}

/// By how much the work of a node grows when one process does it: what is parallel is in shares.
fn shared(node: &Node, around: Around<'_>) -> f64 {
    if around.processes > 1.0 && is_parallel(node) { around.processes } else { 1.0 }
}

fn is_parallel(node: &Node) -> bool {
    node.is_parallel_aware && node.kind != Kind::Hash || node.inputs().any(is_parallel)
}

/// Parts of its conditions that are joined by AND.
fn clauses(scan: &Node) -> usize {
    let is_own = |condition: &&plan::Condition| {
        matches!(condition.kind, plan::ConditionKind::Filter | plan::ConditionKind::IndexCond)
    };
    let all = all_conditions(scan);
    all.into_iter().filter(is_own).map(|condition| condition.text.matches(" AND ").count() + 1).sum()
}

/// The input without what is done to it for a join of another kind.
fn without_preparation(node: &Node) -> &Node {
    match (&node.kind, node.outer()) {
        (Kind::Hash | Kind::Sort | Kind::Materialize | Kind::IncrementalSort, Some(input)) => {
            without_preparation(input)
        }
        _ => node,
    }
}

/// The scan that is the only thing below, parallel or not.
fn lone_scan(node: &Node) -> Option<&Node> {
    match node.kind {
        Kind::SeqScan | Kind::IndexScan | Kind::IndexOnlyScan | Kind::BitmapHeapScan => Some(node),
        Kind::Gather | Kind::Aggregate | Kind::Append => lone_scan(node.outer()?),
        _ => None,
    }
}

fn is_passed(node: &Node) -> bool {
    match node.kind {
        Kind::Hash | Kind::Sort | Kind::Materialize | Kind::Gather | Kind::GatherMerge => true,
        Kind::Append => is_of_parts(node),
        Kind::HashJoin | Kind::MergeJoin | Kind::NestedLoop => {
            node.join_type.as_deref().is_none_or(|join_type| join_type == "Inner")
        }
        _ => false,
    }
}

/// Whether it puts the partitions of one table together: their aliases are numbered.
fn is_of_parts(append: &Node) -> bool {
    let mut stems = append.inputs().map(|input| input.alias.as_deref().map(stem));
    let first = stems.next().flatten();
    first.is_some() && stems.all(|other| other == first)
}

/// The alias of the table that a partition belongs to.
fn stem(alias: &str) -> &str {
    let stem = alias.trim_end_matches(|letter: char| letter.is_ascii_digit());
    stem.strip_suffix('_').filter(|rest| !rest.is_empty()).unwrap_or(alias)
}

/// The scans that could as well come first: below nothing but inner joins.
fn reachable<'n>(node: &'n Node, scans: &mut Vec<&'n Node>) {
    match node.kind {
        Kind::SeqScan | Kind::IndexScan | Kind::IndexOnlyScan | Kind::BitmapHeapScan => scans.push(node),
        _ if is_passed(node) => node.inputs().for_each(|input| reachable(input, scans)),
        _ => {}
    }
}

/// What remains to be done beside a scan below `node` when only a share of its rows is looked up: the other inputs, and that
/// share of the work on the way.
fn rest(node: &Node, scan: &Node, share: f64, around: Around<'_>) -> Option<f64> {
    if node.id == scan.id {
        return Some(0.0);
    }
    let (on_way, below) = node.inputs().find_map(|input| Some((input, rest(input, scan, share, around)?)))?;
    // The other parts of a partitioned table are looked into as well.
    let others: f64 = node
        .inputs()
        .filter(|input| input.id != on_way.id && node.kind != Kind::Append)
        .filter_map(|input| Some(cost(input)?.total * shared(input, around)))
        .sum();
    let all: f64 = node.inputs().filter_map(cost).map(|cost| cost.total).sum();
    let planned = cost(node)?;
    if node.kind == Kind::NestedLoop {
        let beside = planned.total - cost(on_way)?.total;
        return Some(below + beside.max(0.0) * share * shared(node, around));
    }
    let own = (planned.total - all).max(0.0) * shared(node, around);
    Some(below + others + own * share)
}
