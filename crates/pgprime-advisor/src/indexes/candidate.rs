//! An index that could be created.

use super::inventory::{Inventory, Relation};
use super::table_use::Item;
use crate::index_review;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Method {
    Btree,
    Brin,
    Gin,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Btree => "btree",
            Self::Brin => "brin",
            Self::Gin => "gin",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) item: Item,
    pub(super) operator_class: Option<String>,
    pub(super) is_descending: bool,
    pub(super) nulls_first: bool,
}

impl Key {
    pub(super) fn plain(item: &Item) -> Self {
        Self { item: item.clone(), ..Self::default() }
    }

    fn sql(&self) -> String {
        let class = self.operator_class.as_ref().map(|class| format!(" {class}")).unwrap_or_default();
        let direction = if self.is_descending { " DESC" } else { "" };
        let nulls = match (self.is_descending, self.nulls_first) {
            (false, true) => " NULLS FIRST",
            (true, false) => " NULLS LAST",
            _ => "",
        };
        format!("{}{class}{direction}{nulls}", self.item.sql)
    }
}

/// Rows that a partial index is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Predicate {
    pub(super) sql: String,
    /// For names: `open`, `deleted_at_null`.
    pub(super) word: String,
    /// The share of rows.
    pub(super) share: f64,
}

/// An index that could be created.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Its table's place in the inventory.
    pub(super) relation: usize,
    pub(super) method: Method,
    pub(super) keys: Vec<Key>,
    /// Columns as SQL writes them, with their names.
    pub(super) include: Vec<Item>,
    pub(super) predicate: Option<Predicate>,
}

impl Candidate {
    pub(super) fn btree(relation: usize, keys: Vec<Key>) -> Self {
        Self { relation, method: Method::Btree, keys, include: Vec::new(), predicate: None }
    }

    /// What tells candidates apart, and what they are told by.
    pub(super) fn id(&self, inventory: &Inventory) -> String {
        format!("{}{}", self.table(inventory).qualified, self.tail())
    }

    pub(super) fn table<'i>(&self, inventory: &'i Inventory) -> &'i Relation {
        &inventory.relations[self.relation]
    }

    /// `CREATE INDEX` with all behind the name.
    pub(super) fn create(&self, between: &str, on: &str) -> String {
        format!("CREATE INDEX {between}ON {on}{}", self.tail())
    }

    /// What is behind the table's name.
    fn tail(&self) -> String {
        let list = |parts: Vec<String>| parts.join(", ");
        let keys = list(self.keys.iter().map(Key::sql).collect());
        let method = if self.method == Method::Btree { "" } else { self.method.name() };
        let method = if method.is_empty() { String::new() } else { format!(" USING {method}") };
        let include = match self.include.is_empty() {
            true => String::new(),
            false => {
                format!(" INCLUDE ({})", list(self.include.iter().map(|item| item.sql.clone()).collect()))
            }
        };
        let predicate = self.predicate.as_ref().map(|it| format!(" WHERE {}", it.sql)).unwrap_or_default();
        format!("{method} ({keys}){include}{predicate}")
    }

    /// A name in the manner of PostgreSQL that nobody has.
    pub(super) fn name(&self, inventory: &Inventory, also_taken: &[String]) -> String {
        let relation = self.table(inventory);
        let mut words: Vec<String> = self.keys.iter().map(|key| word(&key.item)).collect();
        words.extend(self.predicate.as_ref().map(|predicate| predicate.word.clone()));
        let taken = inventory.taken.get(&relation.schema);
        let is_taken = |name: &str| {
            also_taken.iter().any(|other| other == name)
                || taken.is_some_and(|taken| taken.iter().any(|other| other == name))
        };
        index_review::free_name(&relation.name, &words, is_taken)
    }
}

/// A key in a name: `name_lower` of `lower(name)`.
fn word(item: &Item) -> String {
    let columns = item.columns.join("_");
    if !item.is_expression {
        return columns;
    }
    let function = item.sql.split('(').next().unwrap_or_default().rsplit('.').next().unwrap_or_default();
    // The name of a json key says more than that it is an expression.
    let key = item.sql.rsplit('\'').nth(1).filter(|_| function.is_empty()).unwrap_or(function);
    let key: String = key.chars().filter(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    if key.is_empty() { format!("{columns}_expr") } else { format!("{columns}_{key}") }
}
