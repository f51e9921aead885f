//! Indexes of the few rows that a query is about. Pure.

use super::candidate::{Candidate, Key, Predicate};
use super::inventory::Relation;
use super::selectivity::share;
use super::table_use::{Condition, ConditionKind, TableUse};

/// A condition that leaves more rows than this makes an index hardly smaller.
const SHARE_MAX: f64 = 0.3;
/// Candidates of one condition.
const VARIANTS_MAX: usize = 4;

/// Candidates with a condition of the query as their own, for constants that stand in the text: a parameter may be anything.
/// `key_lists` makes the keys for what is left of the query's conditions.
pub(super) fn candidates(
    relation: &Relation,
    table_use: &TableUse,
    key_lists: impl Fn(&Relation, &TableUse) -> Vec<Vec<Key>>,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for condition in &table_use.conditions {
        let Some(predicate) = predicate(relation, condition) else { continue };
        let rest: Vec<Condition> =
            table_use.conditions.iter().filter(|other| other.item != condition.item).cloned().collect();
        let rest = TableUse { conditions: rest, ..table_use.clone() };
        let mut lists: Vec<Vec<Key>> = key_lists(relation, &rest).into_iter().take(VARIANTS_MAX).collect();
        if lists.is_empty() {
            lists.push(vec![Key::plain(&condition.item)]);
        }
        candidates.extend(lists.into_iter().map(|keys| Candidate {
            predicate: Some(predicate.clone()),
            ..Candidate::btree(table_use.relation, keys)
        }));
    }
    candidates
}

fn predicate(relation: &Relation, condition: &Condition) -> Option<Predicate> {
    let item = &condition.item;
    let share = share(relation, condition);
    let column = item.columns.first().and_then(|name| relation.column(name))?;
    let is_bool = column.type_name == "bool";
    let (sql, word) = match &condition.kind {
        _ if item.is_expression || share > SHARE_MAX || column.statistics.is_none() => return None,
        ConditionKind::IsNull => (format!("{} IS NULL", item.sql), format!("{}_null", column.name)),
        ConditionKind::IsNotNull => (format!("{} IS NOT NULL", item.sql), format!("{}_set", column.name)),
        ConditionKind::Equal(Some(constant)) if is_bool && constant.value == "t" => {
            (item.sql.clone(), column.name.clone())
        }
        ConditionKind::Equal(Some(constant)) if is_bool => {
            (format!("NOT {}", item.sql), format!("not_{}", constant.value.replace('f', &column.name)))
        }
        // A value that nothing is known of may be one of many, each with an index of its own.
        ConditionKind::Equal(Some(constant)) if is_common(column, &constant.value) => {
            (format!("{} = {}", item.sql, constant.sql), word(&constant.value))
        }
        _ => return None,
    };
    Some(Predicate { sql, word, share })
}

fn is_common(column: &super::inventory::Column, value: &str) -> bool {
    let common = column.statistics.iter().flat_map(|statistics| &statistics.common);
    let few = column
        .statistics
        .as_ref()
        .is_some_and(|statistics| statistics.distinct_values > 0.0 && statistics.distinct_values <= 20.0);
    few && common.into_iter().any(|(common, _)| common == value)
}

fn word(value: &str) -> String {
    let letters =
        value.chars().map(|letter| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
    letters.take(20).collect()
}
