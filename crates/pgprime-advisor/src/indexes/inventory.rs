//! What the catalogs say about the relations of a workload.

use std::collections::HashMap;

use crate::Missing;
use crate::sql::{Statement, TableName};

/// The server, with the planner's constants.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) version_number: i32,
    pub(super) version: String,
    pub(super) role: String,
    pub(super) hypopg_schema: Option<String>,
    pub(super) hypopg_is_available: bool,
    pub(super) trigram_schema: Option<String>,
    pub(super) collation_is_c: bool,
    pub(super) block_bytes: f64,
    pub(super) seq_page_cost: f64,
    pub(super) random_page_cost: f64,
    pub(super) cpu_tuple_cost: f64,
    pub(super) cpu_index_tuple_cost: f64,
    pub(super) cpu_operator_cost: f64,
    /// How long writes and scans have been counted.
    pub(super) statistics_seconds: f64,
}

/// Everything that is known of a workload's relations.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) server: Server,
    pub(super) relations: Vec<Relation>,
    /// Relations by the quoted names that statements use.
    pub(super) by_name: HashMap<String, usize>,
    pub(super) functions: Vec<Function>,
    /// Names that are taken, by schema.
    pub(super) taken: HashMap<String, Vec<String>>,
    pub(super) missing: Vec<Missing>,
}

/// What a relation is, as far as indexes go.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A table or materialized view.
    Table,
    /// A table whose rows are in these partitions.
    Partitioned { partitions: Vec<String> },
    /// A view and its query.
    View(Option<Box<Statement>>),
    /// Anything that has no indexes, or none that is ours to propose.
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) oid: u32,
    /// As SQL writes it.
    pub(super) qualified: String,
    pub(super) schema: String,
    pub(super) schema_quoted: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) columns: Vec<Column>,
    pub(super) existing: Vec<Existing>,
    pub(super) figures: Figures,
}

/// Sizes and writes of a table, of a partitioned one those of its partitions.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) rows: f64,
    pub(super) pages: f64,
    /// Of them, those that an index alone can be trusted for, as vacuum found all their rows visible.
    pub(super) visible_pages: f64,
    pub(super) inserted: f64,
    /// Without those that no index had to be touched for.
    pub(super) updated: f64,
    pub(super) hot_updated: f64,
    /// Levels of partitions below it; 0 of a table without.
    pub(super) partition_levels: i32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    pub(super) name: String,
    /// As SQL writes it.
    pub(super) quoted: String,
    pub(super) type_oid: u32,
    pub(super) type_name: String,
    pub(super) category: String,
    pub(super) collation_is_c: bool,
    pub(super) is_sortable: bool,
    pub(super) statistics: Option<Statistics>,
    /// Bytes of a value, from statistics or from its type.
    pub(super) width: f64,
}

/// What ANALYZE knows of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    pub(super) null_share: f64,
    /// As PostgreSQL keeps it: a number of values, or minus a share of the rows.
    pub(super) distinct_values: f64,
    pub(super) correlation: Option<f64>,
    pub(super) common: Vec<(String, f64)>,
    pub(super) bounds: Vec<String>,
}

/// An index that exists and can be used.
#[derive(Clone, Debug, Default)]
pub(super) struct Existing {
    pub(super) method: String,
    pub(super) is_unique: bool,
    pub(super) key_count: usize,
    /// Keys and included columns as SQL writes them.
    pub(super) columns: Vec<String>,
    /// Of the keys; None: the type's default.
    pub(super) operator_classes: Vec<Option<String>>,
    /// Of the keys: 1 descending, 2 nulls first.
    pub(super) options: Vec<i32>,
    pub(super) predicate: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) is_system: bool,
    pub(super) is_immutable: bool,
    pub(super) arguments: usize,
    pub(super) argument_types: Vec<u32>,
}

impl Inventory {
    pub(super) fn relation(&self, name: &TableName) -> Option<usize> {
        self.by_name.get(&name.quoted()).copied()
    }

    /// Whether calls of a function always give the same for the same arguments. Types are those of arguments that are
    /// columns.
    pub(super) fn is_immutable(&self, schema: Option<&str>, name: &str, types: &[Option<u32>]) -> bool {
        let fits = |function: &&Function| {
            function.name == name
                && function.arguments == types.len()
                && (schema != Some("pg_catalog") || function.is_system)
        };
        let all: Vec<&Function> = self.functions.iter().filter(fits).collect();
        let is_exact = |function: &&&Function| {
            let pairs = function.argument_types.iter().zip(types);
            pairs.into_iter().all(|(argument, given)| given.is_none_or(|given| given == *argument))
        };
        let exact: Vec<&&Function> = all.iter().filter(is_exact).collect();
        if exact.is_empty() {
            return !all.is_empty() && all.iter().all(|function| function.is_immutable);
        }
        exact.iter().all(|function| function.is_immutable)
    }
}

impl Relation {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub(super) fn is_indexable(&self) -> bool {
        matches!(self.kind, Kind::Table | Kind::Partitioned { .. })
    }

    /// Bytes of a row's values.
    pub(super) fn row_width(&self) -> f64 {
        self.columns.iter().map(|column| column.width).sum::<f64>().max(1.0)
    }
}

impl Column {
    pub(super) fn is_text(&self) -> bool {
        matches!(self.type_name.as_str(), "text" | "varchar" | "bpchar")
    }
}
