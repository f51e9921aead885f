//! Which scan of a plan is which use of a table.

use std::collections::HashMap;

use super::super::inventory::{Inventory, Kind as RelationKind, Relation};
use super::super::table_use::{TableUse, Uses};
use crate::plan::{Condition, Kind, Node, NodeId, Plan};

/// A scan and the use that it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matched<'a> {
    pub(super) table_use: &'a TableUse,
    pub(super) relation: &'a Relation,
    /// The share of the table that it reads: less than 1 for a partition.
    pub(super) part: f64,
    /// The share of the table that all scans of this use read together: less than 1 where partitions were left out.
    pub(super) seen: f64,
    /// Whether it is executed for values of another table's rows.
    pub(super) is_probe: bool,
}

/// The scans of a plan by their places.
pub(super) type AllMatched<'a> = HashMap<NodeId, Matched<'a>>;

pub(super) fn matched<'a>(inventory: &'a Inventory, uses: &'a Uses, plan: &Plan) -> AllMatched<'a> {
    let mut scans = Vec::new();
    collect(&plan.root, &mut scans);
    let aliases: Vec<String> = scans.iter().filter_map(|scan| scan.alias.clone()).collect();
    // Those that can be told by their conditions first.
    scans.sort_by_key(|scan| std::cmp::Reverse(uses.tables.iter().map(|one| score(one, scan)).max()));
    let mut taken: HashMap<usize, String> = HashMap::new();
    let mut all = AllMatched::new();
    let mut seen: HashMap<usize, f64> = HashMap::new();
    let mut places: HashMap<NodeId, usize> = HashMap::new();
    for scan in scans {
        let of_scan =
            |(_, one): &(usize, &TableUse)| part(&inventory.relations[one.relation], scan).is_some();
        // One use may have many scans, of partitions or of subplans, but they have one alias, or begin with it.
        let alias = scan.alias.clone().unwrap_or_default();
        let is_free = |place: &usize| {
            taken
                .get(place)
                .is_none_or(|other| alias.starts_with(other.as_str()) || other.starts_with(&alias))
        };
        let candidates = uses.tables.iter().enumerate().filter(of_scan);
        let best = candidates
            .max_by_key(|(place, one)| (is_free(place), score(one, scan), std::cmp::Reverse(*place)));
        let Some((place, table_use)) = best else { continue };
        taken.entry(place).or_insert(alias);
        let relation = &inventory.relations[table_use.relation];
        let Some(part) = part(relation, scan) else { continue };
        *seen.entry(place).or_default() += part;
        places.insert(scan.id, place);
        let is_probe = is_probe(scan, &aliases);
        all.insert(scan.id, Matched { table_use, relation, part, seen: 1.0, is_probe });
    }
    for (id, matched) in &mut all {
        matched.seen = places.get(id).and_then(|place| seen.get(place)).map_or(1.0, |seen| seen.min(1.0));
    }
    all
}

fn collect<'p>(node: &'p Node, scans: &mut Vec<&'p Node>) {
    if matches!(node.kind, Kind::SeqScan | Kind::IndexScan | Kind::IndexOnlyScan | Kind::BitmapHeapScan) {
        scans.push(node);
    }
    node.children.iter().for_each(|child| collect(child, scans));
}

/// The share of the relation that a scan reads; None if it reads another one.
fn part(relation: &Relation, scan: &Node) -> Option<f64> {
    let name = scan.relation.as_deref()?;
    let is_schema = |schema: &str| scan.schema.as_deref().is_none_or(|found| found == schema);
    match &relation.kind {
        RelationKind::Partitioned { partitions } => {
            let is_part = |part: &String| {
                let last = part.rsplit('.').next().unwrap_or(part);
                last.trim_matches('"').replace("\"\"", "\"") == name
            };
            partitions.iter().any(is_part).then(|| 1.0 / partitions.len().max(1) as f64)
        }
        _ => (relation.name == name && is_schema(&relation.schema)).then_some(1.0),
    }
}

/// How many of the columns that a use has conditions on the scan's conditions name.
fn score(table_use: &TableUse, scan: &Node) -> usize {
    let names = |column: &String| {
        all_conditions(scan).iter().any(|condition| condition.text.contains(column.as_str()))
    };
    let columns = table_use.conditions.iter().flat_map(|condition| &condition.item.columns);
    columns.filter(|column| names(column)).count()
}

/// Of a scan, and of the scans of indexes that a bitmap is made from.
pub(super) fn all_conditions(scan: &Node) -> Vec<&Condition> {
    let mut all: Vec<&Condition> = scan.conditions.iter().collect();
    all.extend(scan.children.iter().filter(|child| !child.is_aside()).flat_map(all_conditions));
    all
}

/// Its conditions name another table.
fn is_probe(scan: &Node, aliases: &[String]) -> bool {
    let own = scan.alias.as_deref();
    let others = || aliases.iter().filter(|alias| Some(alias.as_str()) != own);
    all_conditions(scan).iter().any(|condition| {
        others().any(|alias| {
            let word = format!("{alias}.");
            condition.text.match_indices(&word).any(|(at, _)| {
                let before = condition.text[..at].chars().next_back();
                before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_')
            })
        })
    })
}
