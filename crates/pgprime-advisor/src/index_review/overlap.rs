//! Indexes that do the work of others. Pure.

use std::collections::{HashMap, HashSet};

use super::catalog::Index;
use super::finding::{Confidence, IndexFinding, IndexProblem};
use super::statements;
use crate::space::Severity;
use crate::space::units::bytes;

/// A covering index this much larger makes the scans that move to it slower.
const MUCH_LARGER: u64 = 3;

/// What was found, and for each index that stays the scans that move to it.
pub(super) struct Overlap {
    pub(super) findings: Vec<IndexFinding>,
    /// Indexes that are to go.
    pub(super) dropped: HashSet<u32>,
    pub(super) moved_scans: HashMap<u32, u64>,
}

/// Duplicate and redundant indexes. Parts of partitioned indexes are left out, as their whole is looked at.
pub(super) fn overlap(indexes: &[Index], index_bytes_min: u64) -> Overlap {
    let mut overlap = Overlap { findings: Vec::new(), dropped: HashSet::new(), moved_scans: HashMap::new() };
    let mut by_table: HashMap<u32, Vec<&Index>> = HashMap::new();
    for index in indexes.iter().filter(|index| index.is_usable() && index.parent_oid.is_none()) {
        by_table.entry(index.table_oid).or_default().push(index);
    }
    for of_table in by_table.values_mut() {
        // What stays comes first: what is bound, what is unique, what is used, what is older.
        of_table.sort_by_key(|index| {
            (!index.is_bound(), !index.is_needed(), std::cmp::Reverse(index.scans), index.oid)
        });
        overlap.duplicates(of_table);
        overlap.redundant(of_table, index_bytes_min);
    }
    overlap
}

impl Overlap {
    fn duplicates(&mut self, of_table: &[&Index]) {
        for (at, index) in of_table.iter().enumerate().filter(|(_, index)| !index.is_bound()) {
            let stays = |other: &&&Index| !self.dropped.contains(&other.oid) && is_duplicate(index, other);
            let Some(same) = of_table[..at].iter().find(stays) else { continue };
            let reason = format!(
                "{} has the same columns, operators, order and condition{}.",
                same.qualified,
                if same.is_unique && !index.is_unique { ", and is unique" } else { "" }
            );
            self.add(IndexProblem::Duplicate, Severity::Warning, Confidence::High, index, same, reason);
        }
    }

    fn redundant(&mut self, of_table: &[&Index], index_bytes_min: u64) {
        for index in of_table.iter().filter(|index| !index.is_needed()) {
            if self.dropped.contains(&index.oid) {
                continue;
            }
            // The longest one is never redundant itself.
            let covers = |other: &&&Index| !self.dropped.contains(&other.oid) && is_prefix(index, other);
            let Some(wider) = of_table.iter().filter(covers).max_by_key(|other| other.key_columns) else {
                continue;
            };
            let is_much_larger = wider.bytes > index.bytes.saturating_mul(MUCH_LARGER);
            let mut reason = format!(
                "{} begins with the same columns ({}), so that it serves the same queries.",
                wider.qualified,
                wider.columns[..wider.key_columns.min(wider.columns.len())].join(", ")
            );
            if is_much_larger {
                let sizes = (bytes(wider.bytes), bytes(index.bytes));
                reason += &format!(" At {} against {} it serves them more slowly.", sizes.0, sizes.1);
            }
            let confidence = if is_much_larger { Confidence::Low } else { Confidence::Medium };
            let is_worth_it = index.bytes >= index_bytes_min && !is_much_larger;
            let severity = if is_worth_it { Severity::Warning } else { Severity::Info };
            self.add(IndexProblem::Redundant, severity, confidence, index, wider, reason);
        }
    }

    fn add(
        &mut self,
        problem: IndexProblem,
        severity: Severity,
        confidence: Confidence,
        index: &Index,
        stays: &Index,
        reason: String,
    ) {
        self.dropped.insert(index.oid);
        let moved = index.scans + self.moved_scans.get(&index.oid).copied().unwrap_or(0);
        *self.moved_scans.entry(stays.oid).or_default() += moved;
        self.findings.push(IndexFinding {
            problem,
            severity,
            confidence,
            index: Some(index.qualified.clone()),
            table: index.table.clone(),
            covered_by: Some(stays.qualified.clone()),
            reason,
            remedies: vec![statements::drop(index)],
            undo: statements::create_again(index),
            freed_bytes: Some(index.bytes),
            scans: Some(index.scans),
        });
    }
}

/// Whether `stays` does all that `index` does, being the same but for a constraint.
fn is_duplicate(index: &Index, stays: &Index) -> bool {
    let is_enforced = !index.is_unique
        || stays.is_unique && index.nulls_not_distinct == stays.nulls_not_distinct && !stays.is_exclusion;
    is_enforced
        // What orders the table stays, unless the other one does, too.
        && !index.is_clustered
        && index.method == stays.method
        && index.is_partitioned == stays.is_partitioned
        && index.key_columns == stays.key_columns
        && index.columns == stays.columns
        && index.operator_classes == stays.operator_classes
        && index.collations == stays.collations
        && index.orders == stays.orders
        && index.predicate == stays.predicate
}

/// Whether `index` is the beginning of `wider`: a B-tree on fewer columns, with nothing included that the other lacks.
fn is_prefix(index: &Index, wider: &Index) -> bool {
    let count = index.key_columns;
    let included = index.columns.get(count..).unwrap_or_default();
    index.method == "btree"
        && wider.method == "btree"
        && count < wider.key_columns
        && index.is_partitioned == wider.is_partitioned
        && index.predicate == wider.predicate
        && starts_alike(&index.columns, &wider.columns, count)
        && starts_alike(&index.operator_classes, &wider.operator_classes, count)
        && starts_alike(&index.collations, &wider.collations, count)
        && starts_alike(&index.orders, &wider.orders, count)
        && included.iter().all(|column| wider.columns.contains(column))
}

fn starts_alike(one: &[String], other: &[String], count: usize) -> bool {
    match (one.get(..count), other.get(..count)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index on these columns of one table.
    fn on(oid: u32, columns: &[&str]) -> Index {
        Index {
            oid,
            qualified: format!("i{oid}"),
            method: "btree".to_owned(),
            key_columns: columns.len(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            operator_classes: columns.iter().map(|_| "1978".to_owned()).collect(),
            collations: columns.iter().map(|_| "0".to_owned()).collect(),
            orders: columns.iter().map(|_| "0".to_owned()).collect(),
            is_valid: true,
            is_ready: true,
            bytes: 10 << 20,
            ..Index::default()
        }
    }

    fn found(indexes: &[Index]) -> Vec<String> {
        let mut found: Vec<String> = overlap(indexes, 0)
            .findings
            .iter()
            .map(|finding| {
                let name = |name: &Option<String>| name.clone().unwrap_or_default();
                format!("{} {} by {}", finding.problem, name(&finding.index), name(&finding.covered_by))
            })
            .collect();
        found.sort();
        found
    }

    #[test]
    fn of_equal_ones_the_bound_unique_used_or_older_stays() {
        let plain = on(1, &["a"]);
        let used = Index { scans: 9, ..on(2, &["a"]) };
        let unique = Index { is_unique: true, ..on(3, &["a"]) };
        let primary = Index { is_unique: true, has_constraint: true, ..on(4, &["a"]) };
        assert_eq!(found(&[plain.clone(), on(5, &["a"])]), ["duplicate i5 by i1"]);
        assert_eq!(found(&[plain.clone(), used.clone()]), ["duplicate i1 by i2"]);
        assert_eq!(found(&[used.clone(), unique.clone()]), ["duplicate i2 by i3"]);
        assert_eq!(
            found(&[plain, used, unique, primary]),
            ["duplicate i1 by i4", "duplicate i2 by i4", "duplicate i3 by i4"]
        );
    }

    #[test]
    fn near_duplicates_are_none() {
        let one = || on(1, &["a"]);
        let text = |value: &str| vec![value.to_owned()];
        for other in [
            Index { table_oid: 7, ..on(2, &["a"]) },
            Index { operator_classes: text("10"), ..on(2, &["a"]) },
            Index { collations: text("100"), ..on(2, &["a"]) },
            Index { orders: text("3"), ..on(2, &["a"]) },
            Index { predicate: Some("(a > 0)".to_owned()), ..on(2, &["a"]) },
            Index { method: "hash".to_owned(), ..on(2, &["a"]) },
            Index { is_valid: false, ..on(2, &["a"]) },
            Index { parent_oid: Some(9), ..on(2, &["a"]) },
            Index { columns: vec!["a".to_owned(), "b".to_owned()], ..on(2, &["a"]) },
        ] {
            let findings = found(&[Index { is_unique: true, ..one() }, other.clone()]);
            assert_eq!(findings, [""; 0], "{other:?}");
        }
        let bound = |oid| Index { is_unique: true, has_constraint: true, ..on(oid, &["a"]) };
        assert_eq!(found(&[bound(1), bound(2)]), [""; 0], "constraints are not dropped");
    }

    #[test]
    fn a_prefix_is_redundant() {
        assert_eq!(found(&[on(1, &["a"]), on(2, &["a", "b"])]), ["redundant i1 by i2"]);
        let chain = [on(1, &["a"]), on(2, &["a", "b"]), on(3, &["a", "b", "c"])];
        assert_eq!(found(&chain), ["redundant i1 by i3", "redundant i2 by i3"]);
        for index in [
            on(1, &["b"]),
            Index { is_unique: true, ..on(1, &["a"]) },
            Index { predicate: Some("(a > 0)".to_owned()), ..on(1, &["a"]) },
            Index { orders: vec!["3".to_owned()], ..on(1, &["a"]) },
            Index { columns: vec!["a".to_owned(), "c".to_owned()], ..on(1, &["a"]) },
            Index { method: "gin".to_owned(), ..on(1, &["a"]) },
        ] {
            assert_eq!(found(&[index.clone(), on(2, &["a", "b"])]), [""; 0], "{index:?}");
        }
    }

    #[test]
    fn scans_move_to_the_one_that_stays() {
        let used = |index: Index, scans| Index { scans, ..index };
        let all = [used(on(1, &["a"]), 5), used(on(2, &["a"]), 3), on(3, &["a", "b"])];
        let overlap = overlap(&all, 0);
        assert_eq!(overlap.moved_scans.get(&3), Some(&8));
    }
}
