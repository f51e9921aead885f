//! What a statement looks for in a table, as the walk over its tree finds it.

use std::collections::BTreeSet;

/// A key of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Item {
    /// As CREATE INDEX writes it.
    pub(super) sql: String,
    /// Columns in it, as the catalogs write them.
    pub(super) columns: Vec<String>,
    pub(super) is_expression: bool,
}

/// A constant: its value as text, and as SQL writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Constant {
    pub(super) value: String,
    pub(super) sql: String,
}

/// A demand on a column or expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub(super) item: Item,
    pub(super) kind: ConditionKind,
}

/// What is demanded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ConditionKind {
    /// One value; the constant, where it is one.
    Equal(Option<Constant>),
    /// One of so many.
    In(usize),
    /// The value of a row of this other use of a table.
    Join(usize),
    /// Values between, where they are constants.
    Range {
        low: Option<String>,
        high: Option<String>,
        has_both: bool,
    },
    /// LIKE with a constant beginning.
    LikePrefix(String),
    /// LIKE with something constant in it, or ILIKE.
    LikeAnywhere,
    /// LIKE with a pattern that is not known.
    LikeUnknown,
    IsNull,
    IsNotNull,
    /// `@>`, `?` and their like on jsonb.
    Json {
        operator: String,
    },
    /// `@>`, `&&` on arrays.
    Array,
    /// `@@` on a tsvector.
    TextSearch,
}

/// One mention of a table, and what is looked for in it.
#[derive(Clone, Debug, Default)]
pub(super) struct TableUse {
    /// Its place in the inventory.
    pub(super) relation: usize,
    /// What must hold for all rows.
    pub(super) conditions: Vec<Condition>,
    /// What stands in an OR.
    pub(super) alternatives: Vec<Condition>,
    pub(super) order: Vec<OrderKey>,
    pub(super) has_limit: bool,
    /// GROUP BY or DISTINCT.
    pub(super) groups: Vec<Item>,
    /// Whose smallest or largest value is asked for.
    pub(super) extremes: Vec<Item>,
    /// Columns that are read.
    pub(super) columns: BTreeSet<String>,
    /// Whether all are.
    pub(super) is_whole_row: bool,
}

/// A key of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OrderKey {
    pub(super) item: Item,
    pub(super) is_descending: bool,
    pub(super) nulls_first: bool,
}

/// What a statement reads and writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    pub(super) tables: Vec<TableUse>,
    /// Relations that rows are inserted into, updated or deleted, by their places in the inventory.
    pub(super) written: Vec<usize>,
}
