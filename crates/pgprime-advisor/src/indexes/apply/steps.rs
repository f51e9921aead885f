//! A suggestion's statements, each for what it is. Pure.

use super::super::advice::Suggestion;
use super::super::existing::canonical;
use super::failure::Failure;
use crate::sql::{Node, Statement, Tree};

/// One statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create(Create),
    /// An index becomes a part of a partitioned one.
    Attach {
        sql: String,
    },
}

/// A statement that creates an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Create {
    pub(super) sql: String,
    pub(super) schema: String,
    pub(super) name: String,
    /// Its table, without quotes.
    pub(super) table: String,
    pub(super) method: String,
    pub(super) is_concurrent: bool,
    pub(super) has_expression: bool,
}

impl Step {
    pub(super) fn sql(&self) -> &str {
        match self {
            Self::Create(create) => &create.sql,
            Self::Attach { sql } => sql,
        }
    }

    /// Whether others wait while it does.
    pub(super) fn keeps_others_waiting(&self) -> bool {
        !matches!(self, Self::Create(Create { is_concurrent: true, .. }))
    }
}

/// The statements of a suggestion. Anything but creating indexes and attaching them is refused, whoever wrote it.
pub(super) fn of(suggestion: &Suggestion) -> Result<Vec<Step>, Failure> {
    let steps: Vec<Step> =
        suggestion.statements.iter().map(|sql| step(sql, suggestion)).collect::<Result<_, _>>()?;
    if !matches!(steps.first(), Some(Step::Create(first)) if first.name == suggestion.name) {
        return Err(Failure::refused("its first statement does not create an index of its name"));
    }
    Ok(steps)
}

fn step(sql: &str, suggestion: &Suggestion) -> Result<Step, Failure> {
    let refused = |why: &str| Failure::refused(format!("{why}: {sql}"));
    let statement = Statement::parse(sql).map_err(|error| refused(&error.to_string()))?;
    let tree = Tree::of(statement.tree());
    let node = tree.node().ok_or_else(|| refused("this is no statement"))?;
    match node.name {
        // Of a table alone, without its partitions, the index is empty and there at once.
        "IndexStmt"
            if !node.has("concurrent") && node.child("relation").is_some_and(|table| table.has("inh")) =>
        {
            Err(refused(
                "this keeps every write of the table waiting until it is done, so execute it when that is no harm",
            ))
        }
        "IndexStmt" => {
            create(statement.text(), node, suggestion).ok_or_else(|| refused("the index has no name"))
        }
        "AlterTableStmt" if is_attachment(statement.text()) => {
            Ok(Step::Attach { sql: statement.text().to_owned() })
        }
        _ => Err(refused("only indexes are created here, and this does something else")),
    }
}

fn create(sql: &str, node: &Node, suggestion: &Suggestion) -> Option<Step> {
    let table = node.child("relation")?;
    let schema = Some(table.text("schemaname")).filter(|schema| !schema.is_empty());
    let name = Some(node.text("idxname")).filter(|name| !name.is_empty())?;
    Some(Step::Create(Create {
        sql: sql.to_owned(),
        schema: schema.unwrap_or(&suggestion.schema).to_owned(),
        name: name.to_owned(),
        table: table.text("relname").to_owned(),
        method: Some(node.text("access_method"))
            .filter(|name| !name.is_empty())
            .unwrap_or("btree")
            .to_owned(),
        is_concurrent: node.has("concurrent"),
        has_expression: node.list("index_params").iter().filter_map(Tree::node).any(|key| key.has("expr")),
    }))
}

fn is_attachment(sql: &str) -> bool {
    let words: Vec<String> = sql.split_ascii_whitespace().map(str::to_ascii_uppercase).collect();
    words.starts_with(&["ALTER".to_owned(), "INDEX".to_owned()])
        && words.windows(2).any(|pair| pair[0] == "ATTACH" && pair[1] == "PARTITION")
}

/// What an index is on, made comparable: all from the first parenthesis of its definition that is in no quotes.
pub(super) fn subject(definition: &str) -> String {
    let mut is_quoted = false;
    let start = definition.char_indices().find(|(_, letter)| {
        is_quoted ^= *letter == '"';
        !is_quoted && *letter == '('
    });
    canonical(start.map_or("", |(at, _)| &definition[at..]))
}

#[cfg(test)]
mod tests {
    use super::super::super::advice::Confidence;
    use super::*;

    fn suggestion(name: &str, statements: &[&str]) -> Suggestion {
        Suggestion {
            name: name.to_owned(),
            schema: "public".to_owned(),
            table: "public.t".to_owned(),
            statements: statements.iter().map(|sql| (*sql).to_owned()).collect(),
            undo: String::new(),
            access_method: "btree".to_owned(),
            keys: Vec::new(),
            size_bytes: 0,
            saved_cost: 0.0,
            saved_share: 0.0,
            write_cost: 0.0,
            writes_per_second: None,
            write_overhead_share: 0.0,
            confidence: Confidence::Low,
            confidence_reason: String::new(),
            gains: Vec::new(),
        }
    }

    #[test]
    fn statements_are_read() {
        let odd = suggestion(
            "odd \"(x",
            &[
                "CREATE INDEX CONCURRENTLY \"odd \"\"(x\" ON \"S\".\"T (\" USING gin ((lower(a)) gin_trgm_ops);",
            ],
        );
        let steps = of(&odd).unwrap();
        let Some(Step::Create(create)) = steps.first() else { panic!("{steps:?}") };
        let names = (&*create.schema, &*create.name, &*create.table, &*create.method);
        assert_eq!(names, ("S", "odd \"(x", "T (", "gin"));
        assert!(create.is_concurrent && create.has_expression);
        let parts = [
            "CREATE INDEX i ON ONLY public.t (a)",
            "CREATE INDEX CONCURRENTLY i_1 ON public.t_1 (a)",
            "ALTER INDEX public.i ATTACH PARTITION public.i_1",
        ];
        let waiting: Vec<bool> =
            of(&suggestion("i", &parts)).unwrap().iter().map(Step::keeps_others_waiting).collect();
        assert_eq!(waiting, [true, false, true]);
    }

    #[test]
    fn anything_else_is_refused() {
        for statements in [
            &["DROP TABLE t"][..],
            &["CREATE INDEX CONCURRENTLY i ON t (a); DROP TABLE t"],
            &["CREATE INDEX CONCURRENTLY i ON t (a)", "ALTER INDEX i RENAME TO j"],
            &["CREATE INDEX CONCURRENTLY other ON t (a)"],
            &["CREATE INDEX i ON t (a)"],
            &["CREATE INDEX CONCURRENTLY ON t (a)"],
            &["CREATE INDEX ("],
            &[],
        ] {
            assert!(of(&suggestion("i", statements)).is_err(), "{statements:?}");
        }
    }

    #[test]
    fn subjects_are_comparable() {
        let ours = "CREATE INDEX CONCURRENTLY i ON public.\"t (\" (lower(a), b DESC) WHERE status = 'open'";
        let theirs = "CREATE INDEX x ON public.\"t (\" USING btree (lower((a)::text), b DESC) WHERE (status = 'open'::text)";
        assert_eq!(subject(ours), subject(theirs));
        assert_ne!(subject(ours), subject("CREATE INDEX x ON public.t USING btree (lower(a), b)"));
    }
}
