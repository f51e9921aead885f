//! Which candidates there is nothing to be had from, as an index exists that does the same. Pure.

use super::candidate::{Candidate, Key, Method};
use super::inventory::{Existing, Relation};

/// Whether an index exists that serves what the candidate would.
pub(super) fn is_served(candidate: &Candidate, relation: &Relation) -> bool {
    relation
        .existing
        .iter()
        .any(|existing| does_the_same(existing, candidate) || is_unique_start(existing, candidate))
}

/// It begins with the candidate's keys, or is the same.
fn does_the_same(existing: &Existing, candidate: &Candidate) -> bool {
    let keys = existing.columns.get(..existing.key_count).unwrap_or(&existing.columns);
    let predicate = candidate.predicate.as_ref().map(|predicate| canonical(&predicate.sql));
    let has_room = match candidate.method {
        Method::Btree => keys.len() >= candidate.keys.len(),
        Method::Brin | Method::Gin => keys.len() == candidate.keys.len(),
    };
    existing.method == candidate.method.name()
        && has_room
        && (existing.predicate.is_none() || existing.predicate.as_deref().map(canonical) == predicate)
        && candidate.keys.iter().enumerate().all(|(place, key)| is_same_key(existing, place, key))
        && has_one_direction(existing, candidate)
        && candidate
            .include
            .iter()
            .all(|item| existing.columns.iter().any(|other| canonical(other) == canonical(&item.sql)))
}

fn is_same_key(existing: &Existing, place: usize, key: &Key) -> bool {
    let class = existing.operator_classes.get(place).and_then(Option::as_deref);
    let wanted = key.operator_class.as_deref().map(|class| class.rsplit('.').next().unwrap_or(class));
    // An index of varchar_pattern_ops does what one of text_pattern_ops does.
    let pattern = |class: &str| class.ends_with("_pattern_ops");
    let is_same_class = class == wanted
        || matches!((class, wanted), (Some(one), Some(other)) if pattern(one) && pattern(other));
    existing.columns.get(place).is_some_and(|column| canonical(column) == canonical(&key.item.sql))
        && is_same_class
}

/// Either all keys run as wanted, or all the other way round.
fn has_one_direction(existing: &Existing, candidate: &Candidate) -> bool {
    let wanted = candidate.keys.iter().map(|key| (key.is_descending, key.nulls_first));
    let there = existing.options.iter().map(|option| (option & 1 != 0, option & 2 != 0));
    let pairs: Vec<_> = wanted.zip(there).collect();
    pairs.iter().all(|(one, other)| one == other)
        || pairs.iter().all(|(one, other)| (!one.0, !one.1) == *other)
}

/// Its first keys are all keys of a unique index: there is one row at most, so that more keys tell nothing.
fn is_unique_start(existing: &Existing, candidate: &Candidate) -> bool {
    let keys = existing.columns.get(..existing.key_count).unwrap_or_default();
    existing.is_unique
        && existing.predicate.is_none()
        && !keys.is_empty()
        && candidate.method == Method::Btree
        && candidate.include.is_empty()
        && candidate.predicate.is_none()
        && keys.len() < candidate.keys.len()
        && candidate.keys.iter().zip(keys).all(|(key, column)| canonical(&key.item.sql) == canonical(column))
}

/// Expressions in the server's words and in the statement's, made comparable.
pub(super) fn canonical(sql: &str) -> String {
    let plain: String = sql.chars().filter(|letter| !matches!(letter, '(' | ')' | ' ' | '"')).collect();
    ["::text", "::charactervarying", "::bpchar", "pg_catalog."]
        .iter()
        .fold(plain, |sql, word| sql.replace(word, ""))
}

#[cfg(test)]
mod tests {
    use super::super::table_use::Item;
    use super::*;

    fn key(sql: &str) -> Key {
        Key::plain(&Item { sql: sql.to_owned(), columns: vec![sql.to_owned()], is_expression: false })
    }

    fn on(columns: &[&str]) -> Existing {
        Existing {
            method: "btree".to_owned(),
            key_count: columns.len(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            operator_classes: columns.iter().map(|_| None).collect(),
            options: columns.iter().map(|_| 0).collect(),
            ..Existing::default()
        }
    }

    #[test]
    fn what_is_there_is_not_proposed() {
        let wanted = |keys: &[&str]| Candidate::btree(0, keys.iter().map(|sql| key(sql)).collect());
        let same = |existing: Existing, candidate: Candidate| {
            does_the_same(&existing, &candidate) || is_unique_start(&existing, &candidate)
        };
        assert!(same(on(&["a", "b"]), wanted(&["a"])), "a prefix");
        assert!(same(on(&["lower(\"B\"::text)"]), wanted(&["lower(\"B\")"])));
        assert!(same(Existing { is_unique: true, ..on(&["a"]) }, wanted(&["a", "b"])), "one row at most");
        assert!(!same(on(&["a"]), wanted(&["a", "b"])));
        assert!(!same(on(&["b", "a"]), wanted(&["a"])));
        assert!(!same(Existing { predicate: Some("(c > 0)".to_owned()), ..on(&["a"]) }, wanted(&["a"])));
        assert!(!same(Existing { method: "hash".to_owned(), ..on(&["a"]) }, wanted(&["a"])));
        let pattern = Existing { operator_classes: vec![Some("text_pattern_ops".to_owned())], ..on(&["a"]) };
        assert!(!same(pattern, wanted(&["a"])));
        let mut descending = wanted(&["a", "b"]);
        descending.keys[1].is_descending = true;
        descending.keys[1].nulls_first = true;
        assert!(!same(on(&["a", "b"]), descending.clone()));
        assert!(same(Existing { options: vec![3, 0], ..on(&["a", "b"]) }, descending), "read backwards");
    }
}
