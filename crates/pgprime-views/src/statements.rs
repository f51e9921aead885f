//! The statements that make views and their indexes, from declarations.

use crate::catalog::Index;
use crate::declaration::ViewDeclaration;
use crate::fingerprint::hash;
use crate::names::{ViewName, quoted};

/// Bytes of the view's name in the name of an index: with the rest it stays below 63.
const INDEX_STEM_BYTES: usize = 50;

/// What creates a view under a name, which may be another than the declared one.
pub(crate) fn create(declaration: &ViewDeclaration, name: &ViewName, storage: &str) -> String {
    // On a line of its own, so that a comment at the query's end does not swallow what follows.
    format!("CREATE MATERIALIZED VIEW {name}{storage} AS\n{}\nWITH NO DATA", declaration.sql)
}

/// What fills a view that nobody reads yet. Apart from its creation, so that what it reads is known before.
pub(crate) fn fill(name: &ViewName) -> String {
    format!("REFRESH MATERIALIZED VIEW {name}")
}

/// What creates the declared indexes that are not there.
pub(crate) fn missing_indexes(
    declaration: &ViewDeclaration,
    name: &ViewName,
    existing: &[Index],
) -> Vec<String> {
    let mut statements = Vec::new();
    let key = &declaration.unique_key;
    let has_key = existing.iter().any(|index| {
        index.identifies_rows()
            && index.columns.len() == key.len()
            && key.iter().all(|column| index.columns.contains(column))
    });
    if !key.is_empty() && !has_key {
        let columns = key.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
        let index = index_name(name, &format!("unique {columns}"));
        statements.push(format!("CREATE UNIQUE INDEX {index} ON {name} ({columns})"));
    }
    for keys in &declaration.indexes {
        let index = index_name(name, keys);
        let is_there = existing.iter().any(|found| {
            quoted(&found.name) == index
                || (found.is_btree
                    && !found.is_partial
                    && without_spaces(&found.keys.join(",")) == without_spaces(keys))
        });
        if !is_there {
            statements.push(format!("CREATE INDEX {index} ON {name} ({keys})"));
        }
    }
    statements
}

/// A name that is the same for the same declaration and another for any other.
fn index_name(view: &ViewName, keys: &str) -> String {
    let mut end = view.name().len().min(INDEX_STEM_BYTES);
    while !view.name().is_char_boundary(end) {
        end -= 1;
    }
    let stem = view.name().get(..end).unwrap_or_default();
    let digits = hash(keys);
    quoted(&format!("{stem}_{}", digits.get(..8).unwrap_or_default()))
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::Declarations;

    #[test]
    fn statements() {
        let text = "[[views]]\nname = 'admin.\"Daily \"\"x\"\"\"'\nsql = 'SELECT 1 AS \"Day\" -- all'\n\
            unique_key = ['Day']\nindexes = ['lower(a), b']";
        let declarations = Declarations::from_toml(text).unwrap();
        let view = &declarations.views()[0];
        let sql = create(view, &view.name, "");
        assert_eq!(
            sql,
            "CREATE MATERIALIZED VIEW admin.\"Daily \"\"x\"\"\" AS\nSELECT 1 AS \"Day\" -- all\nWITH NO DATA"
        );
        let indexes = missing_indexes(view, &view.name, &[]);
        assert!(indexes[0].starts_with("CREATE UNIQUE INDEX \"Daily \"\"x\"\"_"), "{indexes:?}");
        assert!(indexes[0].ends_with("ON admin.\"Daily \"\"x\"\"\" (\"Day\")"), "{indexes:?}");
        assert!(indexes[1].ends_with("(lower(a), b)"), "{indexes:?}");
        let found = |columns: &[&str], is_unique| Index {
            name: "by_hand".to_owned(),
            definition: String::new(),
            is_unique,
            is_partial: false,
            has_expressions: false,
            is_usable: true,
            is_btree: true,
            keys: columns.iter().map(ToString::to_string).collect(),
            columns: columns.iter().map(ToString::to_string).collect(),
        };
        let existing = [found(&["Day"], true), found(&["lower(a)", "b"], false)];
        assert!(missing_indexes(view, &view.name, &existing).is_empty());
        let long = ViewName::from_catalog("public", &"ä".repeat(31));
        assert!(index_name(&long, "a").len() <= 63 + 2);
    }
}
