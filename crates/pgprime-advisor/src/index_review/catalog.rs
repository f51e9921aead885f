//! Indexes as the catalogs and statistics have them.

use std::collections::HashMap;

use tokio_postgres::Row;

use crate::space::locked::Locked;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Session, column, count};

/// An index.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    pub(super) oid: u32,
    pub(super) table_oid: u32,
    pub(super) qualified: String,
    /// Not quoted.
    pub(super) schema: String,
    /// Not quoted.
    pub(super) name: String,
    pub(super) quoted: String,
    pub(super) table: String,
    pub(super) method: String,
    pub(super) is_partitioned: bool,
    /// The partitioned index that it is a part of.
    pub(super) parent_oid: Option<u32>,
    pub(super) is_unique: bool,
    pub(super) is_exclusion: bool,
    pub(super) is_valid: bool,
    pub(super) is_ready: bool,
    pub(super) is_replica_identity: bool,
    pub(super) is_clustered: bool,
    pub(super) has_constraint: bool,
    /// Those behind them are only included.
    pub(super) key_columns: usize,
    /// Of the table; 0 for an expression.
    pub(super) column_numbers: Vec<i16>,
    /// As SQL writes them.
    pub(super) columns: Vec<String>,
    pub(super) operator_classes: Vec<String>,
    pub(super) collations: Vec<String>,
    pub(super) orders: Vec<String>,
    pub(super) predicate: Option<String>,
    pub(super) nulls_not_distinct: bool,
    pub(super) definition: String,
    /// With all parts, if it is partitioned.
    pub(super) bytes: u64,
    /// With all parts, if it is partitioned.
    pub(super) scans: u64,
    /// Rows inserted and updated in its table; with all partitions.
    pub(super) writes: u64,
    pub(super) may_be_building: bool,
}

impl Index {
    /// Whether it is there for more than speed.
    pub(super) fn is_needed(&self) -> bool {
        self.is_unique || self.is_clustered || self.is_bound()
    }

    /// Whether something else in the catalogs hangs on this very index.
    pub(super) fn is_bound(&self) -> bool {
        self.has_constraint || self.is_exclusion || self.is_replica_identity
    }

    pub(super) fn is_usable(&self) -> bool {
        self.is_valid && self.is_ready
    }
}

pub(super) async fn read(session: &Session<'_>, locked: &mut Locked) -> Result<Vec<Index>, ReadError> {
    let step = "read the indexes";
    let rows = locked.attempt(session, step, include_str!("../../sql/index_catalog.sql"), &[]).await?;
    let mut indexes: Vec<Index> = rows.iter().map(|row| index(row, step)).collect::<Result<_, _>>()?;
    add_up(&mut indexes);
    Ok(indexes)
}

fn index(row: &Row, step: &'static str) -> Result<Index, ReadError> {
    let key_columns: i32 = column(row, step, "key_columns")?;
    Ok(Index {
        oid: column(row, step, "oid")?,
        table_oid: column(row, step, "table_oid")?,
        qualified: column(row, step, "qualified")?,
        schema: column(row, step, "schema")?,
        name: column(row, step, "name")?,
        quoted: column(row, step, "quoted")?,
        table: column(row, step, "table_name")?,
        method: column(row, step, "method")?,
        is_partitioned: column(row, step, "is_partitioned")?,
        parent_oid: column(row, step, "parent_oid")?,
        is_unique: column(row, step, "is_unique")?,
        is_exclusion: column(row, step, "is_exclusion")?,
        is_valid: column(row, step, "is_valid")?,
        is_ready: column(row, step, "is_ready")?,
        is_replica_identity: column(row, step, "is_replica_identity")?,
        is_clustered: column(row, step, "is_clustered")?,
        has_constraint: column(row, step, "has_constraint")?,
        key_columns: usize::try_from(key_columns).unwrap_or(0),
        column_numbers: column(row, step, "column_numbers")?,
        columns: column(row, step, "columns")?,
        operator_classes: column(row, step, "operator_classes")?,
        collations: column(row, step, "collations")?,
        orders: column(row, step, "orders")?,
        predicate: column(row, step, "predicate")?,
        nulls_not_distinct: column(row, step, "nulls_not_distinct")?,
        definition: column::<Option<String>>(row, step, "definition")?.unwrap_or_default(),
        bytes: count(row, step, "bytes")?,
        scans: count(row, step, "scans")?,
        writes: count(row, step, "writes")?,
        may_be_building: column(row, step, "may_be_building")?,
    })
}

/// Gives every partitioned index the sums of its parts, over all levels.
fn add_up(indexes: &mut [Index]) {
    let parents: HashMap<u32, u32> =
        indexes.iter().filter_map(|index| Some((index.oid, index.parent_oid?))).collect();
    let mut sums: HashMap<u32, (u64, u64, u64)> = HashMap::new();
    for index in indexes.iter().filter(|index| !index.is_partitioned) {
        let mut above = parents.get(&index.oid);
        while let Some(parent) = above {
            let sum = sums.entry(*parent).or_default();
            *sum = (sum.0 + index.bytes, sum.1 + index.scans, sum.2 + index.writes);
            above = parents.get(parent);
        }
    }
    for index in indexes.iter_mut() {
        if let Some((bytes, scans, writes)) = sums.get(&index.oid) {
            (index.bytes, index.scans, index.writes) = (*bytes, *scans, *writes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partitioned_index_is_the_sum_of_its_parts() {
        let part = |oid, parent_oid, scans| Index { oid, parent_oid, scans, bytes: 10, ..Index::default() };
        let whole = |oid, parent_oid| Index { is_partitioned: true, ..part(oid, parent_oid, 0) };
        let mut indexes = vec![
            whole(1, None),
            whole(2, Some(1)),
            part(3, Some(2), 5),
            part(4, Some(1), 7),
            part(5, None, 9),
        ];
        add_up(&mut indexes);
        let sums: Vec<(u64, u64)> = indexes.iter().map(|index| (index.scans, index.bytes)).collect();
        assert_eq!(sums, [(12, 20), (5, 10), (5, 10), (7, 10), (9, 10)]);
    }
}
