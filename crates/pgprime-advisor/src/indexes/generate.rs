//! From what statements look for in a table to indexes that could help. Pure.

use super::advice::Hint;
use super::candidate::{Candidate, Key, Method};
use super::existing::is_served;
use super::inventory::{Existing, Inventory, Relation};
use super::partial;
use super::selectivity::share;
use super::table_use::{Condition, ConditionKind, Item, OrderKey, TableUse};

/// Keys of an index.
const KEYS_MAX: usize = 4;
/// Candidates of one use of a table.
const CANDIDATES_PER_USE_MAX: usize = 32;
/// Columns that are only included, and their bytes.
const INCLUDED_MAX: usize = 3;
const INCLUDED_BYTES_MAX: f64 = 64.0;
/// Keys of this many bytes and more make a B-tree that is hardly smaller than the table.
const KEY_BYTES_MAX: f64 = 512.0;
/// Lists of keys that are tried with included columns and with a condition.
const VARIANTS_MAX: usize = 6;
/// From this correlation on rows lie in the order of a column, and from this size on a BRIN index is worth it.
const CORRELATION_MIN: f64 = 0.95;
const BRIN_PAGES_MIN: f64 = 1_000.0;

/// What came of one use.
#[derive(Debug, Default)]
pub(super) struct Generated {
    pub(super) candidates: Vec<Candidate>,
    pub(super) hints: Vec<Hint>,
}

/// Candidates for one use of a table, those with the best prospects first.
pub(super) fn candidates(inventory: &Inventory, table_use: &TableUse) -> Generated {
    let relation = &inventory.relations[table_use.relation];
    let place = table_use.relation;
    let mut generated = Generated::default();
    let lists = key_lists(relation, table_use);
    let covering = lists.iter().take(VARIANTS_MAX).filter_map(|keys| covering(relation, table_use, keys));
    let covering: Vec<Candidate> = covering.collect();
    let partial = partial::candidates(relation, table_use, key_lists);
    let plain = lists.iter().map(|keys| Candidate::btree(place, keys.clone()));
    let mut all: Vec<Candidate> = inverted(inventory, table_use, &mut generated.hints);
    all.extend(plain.take(CANDIDATES_PER_USE_MAX));
    all.extend(partial);
    all.extend(covering);
    all.extend(brin(relation, table_use));
    for candidate in all {
        if !generated.candidates.contains(&candidate) && !is_served(&candidate, relation) {
            generated.candidates.push(candidate);
        }
    }
    generated
}

/// Lists of keys in sensible orders: equalities first, the most selective one in front, then one range or an order.
fn key_lists(relation: &Relation, table_use: &TableUse) -> Vec<Vec<Key>> {
    let parts = Parts::of(relation, table_use);
    let mut lists: Vec<Vec<Key>> = Vec::new();
    let equal = &parts.equal;
    let mut add = |pieces: &[&[Key]]| lists.extend(list(relation, pieces));
    for count in (2..=equal.len().min(KEYS_MAX)).rev() {
        add(&[&equal[..count]]);
    }
    let endings = [&parts.order, &parts.groups];
    endings.iter().filter(|ending| !ending.is_empty()).for_each(|ending| {
        add(&[equal, ending]);
        add(&[ending]);
    });
    for one in parts.ranges.iter().chain(&parts.lists).chain(&parts.extremes) {
        add(&[equal, std::slice::from_ref(one)]);
        add(&[std::slice::from_ref(one)]);
        add(&[std::slice::from_ref(one), &parts.joins]);
    }
    for join in &parts.joins {
        add(&[std::slice::from_ref(join)]);
        add(&[equal, std::slice::from_ref(join)]);
        add(&[std::slice::from_ref(join), equal]);
        parts
            .ranges
            .iter()
            .for_each(|range| add(&[std::slice::from_ref(join), equal, std::slice::from_ref(range)]));
    }
    if parts.joins.len() > 1 {
        add(&[&parts.joins]);
        add(&[equal, &parts.joins]);
    }
    equal.iter().chain(&parts.alternatives).for_each(|one| add(&[std::slice::from_ref(one)]));
    let backwards: Vec<Key> = equal.iter().take(2).rev().cloned().collect();
    add(&[&backwards]);
    lists
}

/// What a use gives as keys.
struct Parts {
    equal: Vec<Key>,
    lists: Vec<Key>,
    ranges: Vec<Key>,
    joins: Vec<Key>,
    order: Vec<Key>,
    groups: Vec<Key>,
    extremes: Vec<Key>,
    alternatives: Vec<Key>,
}

impl Parts {
    fn of(relation: &Relation, table_use: &TableUse) -> Self {
        let mut by_share: Vec<&Condition> = table_use.conditions.iter().collect();
        by_share.sort_by(|a, b| share(relation, a).total_cmp(&share(relation, b)));
        let keys = |wanted: fn(&ConditionKind) -> bool| -> Vec<Key> {
            by_share.iter().filter(|one| wanted(&one.kind)).map(|one| key(relation, one)).collect()
        };
        let items = |items: &[Item]| items.iter().map(Key::plain).collect();
        Self {
            equal: keys(|kind| matches!(kind, ConditionKind::Equal(_) | ConditionKind::IsNull)),
            lists: keys(|kind| matches!(kind, ConditionKind::In(_))),
            ranges: keys(|kind| matches!(kind, ConditionKind::Range { .. } | ConditionKind::LikePrefix(_))),
            joins: keys(|kind| matches!(kind, ConditionKind::Join(_))),
            order: order_keys(&table_use.order),
            groups: items(&table_use.groups),
            extremes: items(&table_use.extremes),
            alternatives: table_use
                .alternatives
                .iter()
                .filter(|one| !is_inverted(&one.kind) && !matches!(one.kind, ConditionKind::IsNotNull))
                .map(|one| key(relation, one))
                .collect(),
        }
    }
}

fn key(relation: &Relation, condition: &Condition) -> Key {
    let column = condition.item.columns.first().and_then(|name| relation.column(name));
    let class = match (&condition.kind, column) {
        (ConditionKind::LikePrefix(_), Some(column)) if !column.collation_is_c => {
            let is_padded = column.type_name == "bpchar" && !condition.item.is_expression;
            Some(if is_padded { "bpchar_pattern_ops" } else { "text_pattern_ops" }.to_owned())
        }
        _ => None,
    };
    Key { operator_class: class, ..Key::plain(&condition.item) }
}

/// A B-tree can be read backwards: where all keys run down, they may as well run up.
fn order_keys(order: &[OrderKey]) -> Vec<Key> {
    let is_backwards = order.iter().all(|key| key.is_descending && key.nulls_first);
    let key = |order: &OrderKey| Key {
        is_descending: order.is_descending && !is_backwards,
        nulls_first: order.nulls_first && !is_backwards,
        ..Key::plain(&order.item)
    };
    order.iter().map(key).collect()
}

/// The pieces one behind the other, each key once; None if a key cannot be one.
fn list(relation: &Relation, pieces: &[&[Key]]) -> Option<Vec<Key>> {
    let mut keys: Vec<Key> = Vec::new();
    for key in pieces.iter().flat_map(|piece| piece.iter()) {
        if !keys.iter().any(|other| other.item == key.item) && keys.len() < KEYS_MAX {
            keys.push(key.clone());
        }
    }
    (!keys.is_empty() && keys.iter().all(|key| is_sortable(relation, key))).then_some(keys)
}

fn is_sortable(relation: &Relation, key: &Key) -> bool {
    let columns: Vec<_> = key.item.columns.iter().filter_map(|name| relation.column(name)).collect();
    let is_small =
        key.item.is_expression || columns.iter().map(|column| column.width).sum::<f64>() < KEY_BYTES_MAX;
    is_small && (key.item.is_expression || columns.iter().all(|column| column.is_sortable))
}

/// With the columns that the query reads besides, so that it need not read the table.
fn covering(relation: &Relation, table_use: &TableUse, keys: &[Key]) -> Option<Candidate> {
    if table_use.is_whole_row || keys.iter().any(|key| key.item.is_expression) {
        return None;
    }
    let is_key = |name: &&String| keys.iter().any(|key| key.item.columns.contains(name));
    let others: Vec<_> = table_use.columns.iter().filter(|name| !is_key(name)).collect();
    let others: Vec<_> = others.into_iter().map(|name| relation.column(name)).collect::<Option<_>>()?;
    let bytes: f64 = others.iter().map(|column| column.width).sum();
    if others.is_empty() || others.len() > INCLUDED_MAX || bytes > INCLUDED_BYTES_MAX {
        return None;
    }
    let item = |column: &&super::inventory::Column| Item {
        sql: column.quoted.clone(),
        columns: vec![column.name.clone()],
        is_expression: false,
    };
    let include = others.iter().map(item).collect();
    Some(Candidate { include, ..Candidate::btree(table_use.relation, keys.to_vec()) })
}

/// Small indexes of ranges, for rows that lie in the order of the column.
fn brin(relation: &Relation, table_use: &TableUse) -> Vec<Candidate> {
    let lies_in_order = |condition: &&Condition| {
        let column = condition.item.columns.first().and_then(|name| relation.column(name));
        let correlation = column.and_then(|column| column.statistics.as_ref()?.correlation);
        matches!(condition.kind, ConditionKind::Range { .. })
            && !condition.item.is_expression
            && correlation.is_some_and(|correlation| correlation.abs() >= CORRELATION_MIN)
    };
    if relation.figures.pages < BRIN_PAGES_MIN {
        return Vec::new();
    }
    let candidate = |condition: &Condition| Candidate {
        method: Method::Brin,
        ..Candidate::btree(table_use.relation, vec![Key::plain(&condition.item)])
    };
    table_use.conditions.iter().filter(lies_in_order).map(candidate).collect()
}

pub(super) fn is_inverted(kind: &ConditionKind) -> bool {
    matches!(
        kind,
        ConditionKind::Json { .. }
            | ConditionKind::Array
            | ConditionKind::TextSearch
            | ConditionKind::LikeAnywhere
            | ConditionKind::LikeUnknown
    )
}

/// Inverted indexes: of json, arrays, words and trigrams.
fn inverted(inventory: &Inventory, table_use: &TableUse, hints: &mut Vec<Hint>) -> Vec<Candidate> {
    let relation = &inventory.relations[table_use.relation];
    let mut candidates = Vec::new();
    for condition in table_use.conditions.iter().chain(&table_use.alternatives) {
        let class = match (&condition.kind, &inventory.server.trigram_schema) {
            (ConditionKind::Json { operator }, _) if !operator.starts_with('?') => {
                Some("jsonb_path_ops".to_owned())
            }
            (ConditionKind::Json { .. } | ConditionKind::Array | ConditionKind::TextSearch, _) => None,
            (ConditionKind::LikeAnywhere, Some(schema)) => Some(format!("{schema}.gin_trgm_ops")),
            (ConditionKind::LikeAnywhere, None) => {
                hints.push(trigram_hint(relation, &condition.item));
                continue;
            }
            (ConditionKind::LikeUnknown, _) => {
                hints.extend(pattern_hint(relation, &condition.item));
                continue;
            }
            _ => continue,
        };
        let key = Key { operator_class: class, ..Key::plain(&condition.item) };
        candidates.push(Candidate { method: Method::Gin, ..Candidate::btree(table_use.relation, vec![key]) });
    }
    candidates
}

/// None where an index for patterns exists.
fn pattern_hint(relation: &Relation, item: &Item) -> Option<Hint> {
    let is_for_patterns = |existing: &Existing| {
        let keys = existing.columns.iter().zip(&existing.operator_classes);
        keys.filter_map(|(column, class)| Some((column, class.as_deref()?))).any(|(column, class)| {
            *column == item.sql && (class.ends_with("_pattern_ops") || class.ends_with("_trgm_ops"))
        })
    };
    if relation.existing.iter().any(is_for_patterns) {
        return None;
    }
    let (table, key) = (&relation.qualified, &item.sql);
    Some(Hint {
        table: table.clone(),
        reason: format!(
            "{key} is searched by LIKE for patterns that are not known. Where they begin with a text, the first index finds \
             their rows; where they begin with %, one of trigrams does, which takes the extension pg_trgm."
        ),
        statements: vec![
            format!("CREATE INDEX CONCURRENTLY ON {table} ({key} text_pattern_ops);"),
            format!("CREATE INDEX CONCURRENTLY ON {table} USING gin ({key} gin_trgm_ops);"),
        ],
    })
}

fn trigram_hint(relation: &Relation, item: &Item) -> Hint {
    Hint {
        table: relation.qualified.clone(),
        reason: format!(
            "{} is searched for a pattern that begins with anything. An index of trigrams finds such rows, and takes the \
             extension pg_trgm.",
            item.sql
        ),
        statements: vec![
            "CREATE EXTENSION pg_trgm;".to_owned(),
            format!(
                "CREATE INDEX CONCURRENTLY ON {} USING gin ({} gin_trgm_ops);",
                relation.qualified, item.sql
            ),
        ],
    }
}
