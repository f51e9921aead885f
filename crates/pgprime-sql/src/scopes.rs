//! Which tables and common table expressions names stand for, where they are used.

use super::names::TableName;
use super::tree::{Node, Tree};

/// The levels of queries around a place, innermost last.
#[derive(Default)]
pub(super) struct Scopes {
    levels: Vec<Level>,
}

#[derive(Default)]
struct Level {
    /// Names of WITH that can be used so far.
    with: Vec<String>,
    /// Tables by the name that columns are qualified with.
    tables: Vec<(String, TableName)>,
}

impl Scopes {
    pub(super) fn enter(&mut self) {
        self.levels.push(Level::default());
    }

    pub(super) fn leave(&mut self) {
        self.levels.pop();
    }

    /// From here on, this name stands for a query of WITH.
    pub(super) fn add_with(&mut self, name: &str) {
        if let Some(level) = self.levels.last_mut() {
            level.with.push(name.to_owned());
        }
    }

    /// The tables of FROM, or of the target of a change.
    pub(super) fn add_tables(&mut self, source: &Tree) {
        let Some(node) = source.node() else {
            return source.items().iter().for_each(|item| self.add_tables(item));
        };
        match node.name {
            "RangeVar" => self.add_table(node),
            "JoinExpr" => {
                self.add_tables(node.field("larg"));
                self.add_tables(node.field("rarg"));
            }
            "RangeTableSample" => self.add_tables(node.field("relation")),
            "List" => node.list("items").iter().for_each(|item| self.add_tables(item)),
            _ => {}
        }
    }

    fn add_table(&mut self, range: &Node) {
        let table = table_name(range);
        if self.is_with(&table) {
            return;
        }
        let alias = range.child("alias").map(|alias| alias.text("aliasname").to_owned());
        if let Some(level) = self.levels.last_mut() {
            level.tables.push((alias.unwrap_or_else(|| table.name.clone()), table));
        }
    }

    /// Whether the name stands for a query of WITH here.
    pub(super) fn is_with(&self, table: &TableName) -> bool {
        table.schema.is_none() && self.levels.iter().any(|level| level.with.contains(&table.name))
    }

    /// The tables that a column may be one of: the one that is named, or all of the innermost level that has any.
    pub(super) fn tables_of(&self, qualifier: Option<&str>) -> Vec<TableName> {
        let mut levels = self.levels.iter().rev();
        match qualifier {
            Some(qualifier) => {
                let found =
                    levels.find_map(|level| level.tables.iter().find(|(alias, _)| alias == qualifier));
                found.map(|(_, table)| table.clone()).into_iter().collect()
            }
            None => {
                let all = levels.flat_map(|level| level.tables.iter().map(|(_, table)| table.clone()));
                all.collect()
            }
        }
    }
}

/// The name of a RangeVar.
pub(super) fn table_name(range: &Node) -> TableName {
    let schema = range.text("schemaname");
    TableName {
        schema: (!schema.is_empty()).then(|| schema.to_owned()),
        name: range.text("relname").to_owned(),
    }
}
