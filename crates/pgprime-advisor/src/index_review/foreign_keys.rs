//! Foreign keys without an index on the side that refers: each delete and each change of a key of the parent reads the
//! whole table.

use tokio_postgres::Row;

use super::catalog::Index;
use super::finding::{Confidence, IndexFinding, IndexProblem};
use super::options::ReviewOptions;
use super::statements;
use crate::space::Severity;
use crate::space::units::{amount, bytes};
use pgprime_readonly::ReadError;
use pgprime_readonly::{Session, column, count};

/// A foreign key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ForeignKey {
    /// As SQL writes it.
    pub(super) constraint: String,
    pub(super) table_oid: u32,
    /// Of the table, not quoted.
    pub(super) schema: String,
    /// Of the table, not quoted.
    pub(super) name: String,
    pub(super) schema_quoted: String,
    pub(super) table: String,
    pub(super) parent: String,
    pub(super) is_partitioned: bool,
    pub(super) column_numbers: Vec<i16>,
    pub(super) columns: Vec<String>,
    pub(super) columns_quoted: Vec<String>,
    pub(super) parent_deletes: u64,
    pub(super) parent_updates: u64,
}

pub(super) async fn read(session: &Session<'_>) -> Result<Vec<ForeignKey>, ReadError> {
    let step = "read the foreign keys";
    let rows = session.rows(step, include_str!("../../sql/index_foreign_keys.sql"), &[]).await?;
    rows.iter().map(|row| foreign_key(row, step)).collect()
}

fn foreign_key(row: &Row, step: &'static str) -> Result<ForeignKey, ReadError> {
    Ok(ForeignKey {
        constraint: column(row, step, "constraint_name")?,
        table_oid: column(row, step, "table_oid")?,
        schema: column(row, step, "schema")?,
        name: column(row, step, "name")?,
        schema_quoted: column(row, step, "schema_quoted")?,
        table: column(row, step, "table_name")?,
        parent: column(row, step, "parent")?,
        is_partitioned: column(row, step, "is_partitioned")?,
        column_numbers: column(row, step, "column_numbers")?,
        columns: column(row, step, "columns")?,
        columns_quoted: column(row, step, "columns_quoted")?,
        parent_deletes: count(row, step, "parent_deletes")?,
        parent_updates: count(row, step, "parent_updates")?,
    })
}

/// How well an index finds the rows that refer to one of the parent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Support {
    None,
    /// Its first columns are some of the key's.
    Partly,
    Full,
}

/// Whether the index finds the rows of a key: its first columns are the key's, in any order.
pub(super) fn supports(index: &Index, key: &ForeignKey) -> bool {
    support(index, key) == Support::Full
}

fn support(index: &Index, key: &ForeignKey) -> Support {
    let is_able = match index.method.as_str() {
        "btree" => true,
        "hash" => key.columns.len() == 1,
        _ => false,
    };
    if index.table_oid != key.table_oid || !index.is_usable() || !is_able || !is_implied(index, key) {
        return Support::None;
    }
    let count = index.key_columns.min(index.column_numbers.len()).min(key.column_numbers.len());
    let leading =
        index.column_numbers[..count].iter().take_while(|number| key.column_numbers.contains(number));
    match leading.count() {
        0 => Support::None,
        found if found == key.column_numbers.len() => Support::Full,
        _ => Support::Partly,
    }
}

/// Whether the index's condition holds for every row that refers: that its columns are not null.
fn is_implied(index: &Index, key: &ForeignKey) -> bool {
    let Some(predicate) = &index.predicate else { return true };
    let bare = predicate.replace(['(', ')'], "");
    bare.split(" AND ").all(|part| {
        part.strip_suffix(" IS NOT NULL")
            .is_some_and(|name| key.columns_quoted.iter().any(|column| column == name))
    })
}

/// What is to be said of a key whose table has this size.
pub(super) fn without_index(
    key: &ForeignKey,
    indexes: &[Index],
    table_bytes: u64,
    options: &ReviewOptions,
) -> Option<IndexFinding> {
    let best = indexes.iter().map(|index| support(index, key)).max().unwrap_or(Support::None);
    if best == Support::Full || table_bytes < options.foreign_key_table_bytes_min {
        return None;
    }
    let is_taken = |name: &str| indexes.iter().any(|index| index.schema == key.schema && index.name == name);
    let name = statements::free_name(&key.name, &key.columns, is_taken);
    let qualified = format!("{}.{}", key.schema_quoted, statements::quoted(&name));
    let is_hit = key.parent_deletes > 0 || key.parent_updates > 0;
    let (severity, confidence) = match (best, key.parent_deletes, is_hit) {
        (Support::Partly, _, _) => (Severity::Info, Confidence::Low),
        (_, 1.., _) => (Severity::Warning, Confidence::High),
        // Most updates do not touch the key.
        (_, _, true) => (Severity::Info, Confidence::Medium),
        _ => (Severity::Info, Confidence::Low),
    };
    Some(IndexFinding {
        problem: IndexProblem::ForeignKeyWithoutIndex,
        severity,
        confidence,
        index: None,
        table: key.table.clone(),
        covered_by: None,
        reason: reason(key, best, table_bytes),
        remedies: vec![statements::create(&key.table, key.is_partitioned, &name, &key.columns_quoted)],
        undo: Some(statements::drop_named(&qualified, key.is_partitioned)),
        freed_bytes: None,
        scans: None,
    })
}

fn reason(key: &ForeignKey, best: Support, table_bytes: u64) -> String {
    let columns = key.columns_quoted.join(", ");
    let partly = if best == Support::Partly { " An index has a part of them, which may do." } else { "" };
    format!(
        "{} refers to {} by {columns}: a delete there, or a change of its key, reads all of {} ({}). Counted in {}: {} \
         deletes, {} updates.{partly}",
        key.constraint,
        key.parent,
        key.table,
        bytes(table_bytes),
        key.parent,
        amount(key.parent_deletes),
        amount(key.parent_updates)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(numbers: &[i16]) -> ForeignKey {
        let names: Vec<String> = numbers.iter().map(|number| format!("c{number}")).collect();
        ForeignKey {
            table_oid: 1,
            column_numbers: numbers.to_vec(),
            columns: names.clone(),
            columns_quoted: names,
            ..ForeignKey::default()
        }
    }

    fn index(numbers: &[i16]) -> Index {
        Index {
            table_oid: 1,
            method: "btree".to_owned(),
            column_numbers: numbers.to_vec(),
            key_columns: numbers.len(),
            is_valid: true,
            is_ready: true,
            ..Index::default()
        }
    }

    #[test]
    fn which_indexes_support_a_key() {
        let partial = |predicate: &str| Index { predicate: Some(predicate.to_owned()), ..index(&[1]) };
        for (key, index, expected) in [
            (key(&[1]), index(&[1]), Support::Full),
            (key(&[1]), index(&[1, 2]), Support::Full),
            (key(&[1]), index(&[2, 1]), Support::None),
            (key(&[1, 2]), index(&[2, 1, 3]), Support::Full),
            (key(&[1, 2]), index(&[1, 3, 2]), Support::Partly),
            (key(&[1, 2]), index(&[1]), Support::Partly),
            (key(&[1]), partial("(c1 IS NOT NULL)"), Support::Full),
            (key(&[1]), partial("(c1 > 0)"), Support::None),
            (key(&[1]), partial("((c1 IS NOT NULL) AND (c2 > 0))"), Support::None),
            (key(&[1]), Index { is_valid: false, ..index(&[1]) }, Support::None),
            (key(&[1]), Index { method: "hash".to_owned(), ..index(&[1]) }, Support::Full),
            (key(&[1]), Index { method: "brin".to_owned(), ..index(&[1]) }, Support::None),
            // The second column is only included.
            (key(&[1, 2]), Index { key_columns: 1, ..index(&[1, 2]) }, Support::Partly),
        ] {
            assert_eq!(support(&index, &key), expected, "{key:?} {index:?}");
        }
    }

    #[test]
    fn the_parents_deletes_make_it_matter() {
        let options = ReviewOptions::default();
        let judged = |deletes, updates, bytes| {
            let key = ForeignKey { parent_deletes: deletes, parent_updates: updates, ..key(&[1]) };
            without_index(&key, &[], bytes, &options).map(|finding| finding.severity)
        };
        assert_eq!(judged(5, 0, 10 << 20), Some(Severity::Warning));
        assert_eq!(judged(0, 5, 10 << 20), Some(Severity::Info));
        assert_eq!(judged(0, 0, 10 << 20), Some(Severity::Info));
        assert_eq!(judged(5, 0, 8_192), None, "a small table is read in no time");
    }
}
