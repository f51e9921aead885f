//! What the names of columns stand for, where they are used.

use std::collections::HashMap;

/// A column of a use of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) table_use: usize,
    pub(super) column: String,
}

/// The columns of a subquery by their names, with those that are a table's own.
pub(super) type Outputs = Vec<(String, Option<Origin>)>;

/// What a name in FROM stands for.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Table { table_use: usize, columns: Vec<String> },
    Query(Outputs),
}

/// The levels of queries around a place, innermost last.
#[derive(Debug, Default)]
pub(super) struct Levels(Vec<Level>);

#[derive(Debug, Default)]
struct Level {
    with: HashMap<String, Outputs>,
    sources: Vec<(String, Source)>,
}

/// What a reference to a column stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    Column(Origin),
    /// All columns of a table.
    Row(usize),
    Unknown,
}

impl Levels {
    pub(super) fn enter(&mut self) {
        self.0.push(Level::default());
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    pub(super) fn add_with(&mut self, name: &str, outputs: Outputs) {
        if let Some(level) = self.0.last_mut() {
            level.with.insert(name.to_owned(), outputs);
        }
    }

    pub(super) fn with(&self, name: &str) -> Option<&Outputs> {
        self.0.iter().rev().find_map(|level| level.with.get(name))
    }

    pub(super) fn add_source(&mut self, alias: &str, source: Source) {
        if let Some(level) = self.0.last_mut() {
            level.sources.push((alias.to_owned(), source));
        }
    }

    /// The sources of the innermost query.
    pub(super) fn innermost(&self) -> &[(String, Source)] {
        self.0.last().map_or(&[], |level| &level.sources)
    }

    pub(super) fn source(&self, alias: &str) -> Option<&Source> {
        let mut levels = self.0.iter().rev();
        levels
            .find_map(|level| level.sources.iter().find(|(name, _)| name == alias))
            .map(|(_, source)| source)
    }

    /// The words of a reference: a column, or a table and a column; a schema in front is left out.
    pub(super) fn resolve(&self, words: &[&str]) -> Resolved {
        match words {
            [name] => {
                let found = self.0.iter().rev().find_map(|level| {
                    let mut columns = level.sources.iter().filter_map(|(_, source)| source.column(name));
                    columns.next()
                });
                match (found, self.source(name)) {
                    (Some(found), _) => found,
                    (None, Some(Source::Table { table_use, .. })) => Resolved::Row(*table_use),
                    _ => Resolved::Unknown,
                }
            }
            [.., alias, name] => {
                self.source(alias).and_then(|source| source.column(name)).unwrap_or(Resolved::Unknown)
            }
            [] => Resolved::Unknown,
        }
    }
}

impl Source {
    fn column(&self, name: &str) -> Option<Resolved> {
        match self {
            Self::Table { table_use, columns } => columns
                .iter()
                .any(|column| column == name)
                .then(|| Resolved::Column(Origin { table_use: *table_use, column: name.to_owned() })),
            Self::Query(outputs) => {
                let (_, origin) = outputs.iter().find(|(output, _)| output == name)?;
                Some(origin.clone().map_or(Resolved::Unknown, Resolved::Column))
            }
        }
    }

    /// All columns, as `*` gives them.
    pub(super) fn outputs(&self) -> Outputs {
        match self {
            Self::Table { table_use, columns } => columns
                .iter()
                .map(|column| {
                    (column.clone(), Some(Origin { table_use: *table_use, column: column.clone() }))
                })
                .collect(),
            Self::Query(outputs) => outputs.clone(),
        }
    }
}
