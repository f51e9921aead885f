//! What can be a key of an index: a column, or an expression over columns of one table that always gives the same.

use super::inventory::{Column, Inventory};
use super::source::{Levels, Resolved};
use super::table_use::{Constant, Item, TableUse};
use crate::index_review;
use crate::sql::{Node, Tree};

/// Types that values of other types are converted to in the same way always.
const CAST_TARGETS: [&str; 10] =
    ["int2", "int4", "int8", "numeric", "float4", "float8", "bool", "uuid", "text", "varchar"];
/// Operators on json values and on numbers; on other types they may depend on settings.
const JSON_OPERATORS: [&str; 4] = ["->", "->>", "#>", "#>>"];
const NUMBER_OPERATORS: [&str; 5] = ["+", "-", "*", "/", "%"];
/// What keeps a call from being one of a plain function.
const CALL_OPTIONS: [&str; 7] =
    ["agg_order", "agg_filter", "over", "agg_within_group", "agg_star", "agg_distinct", "func_variadic"];

/// Reads expressions of a statement.
pub(super) struct Expressions<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) levels: &'a Levels,
    pub(super) uses: &'a [TableUse],
}

/// An expression on its way to an [`Item`].
struct Piece<'a> {
    sql: String,
    table_use: Option<usize>,
    columns: Vec<&'a Column>,
    /// Whether it needs parentheses as a key.
    is_bare: bool,
}

impl<'a> Expressions<'a> {
    /// The expression as a key, with the use of a table that it belongs to.
    pub(super) fn item(&self, tree: &Tree) -> Option<(usize, Item)> {
        let piece = self.piece(tree)?;
        let is_expression = tree.node().is_some_and(|node| node.name != "ColumnRef");
        let sql = if is_expression && !piece.is_bare { format!("({})", piece.sql) } else { piece.sql };
        let columns = piece.columns.iter().map(|column| column.name.clone()).collect();
        Some((piece.table_use?, Item { sql, columns, is_expression }))
    }

    fn piece(&self, tree: &Tree) -> Option<Piece<'a>> {
        let node = tree.node()?;
        match node.name {
            "ColumnRef" => self.column(node),
            "AConst" => {
                let sql = constant(tree)?.sql;
                Some(Piece { sql, table_use: None, columns: Vec::new(), is_bare: false })
            }
            "FuncCall" => self.call(node),
            "AExpr" => self.operation(node),
            "TypeCast" => self.cast(node),
            "CoalesceExpr" => {
                let (sql, whole) = self.list(node.list("args"))?;
                Some(Piece { sql: format!("COALESCE({sql})"), is_bare: true, ..whole })
            }
            _ => None,
        }
    }

    fn column(&self, node: &Node) -> Option<Piece<'a>> {
        let words = node.words("fields");
        if words.len() != node.list("fields").len() {
            return None;
        }
        let Resolved::Column(origin) = self.levels.resolve(&words) else { return None };
        let relation = self.inventory.relations.get(self.uses.get(origin.table_use)?.relation)?;
        let column = relation.column(&origin.column)?;
        Some(Piece {
            sql: column.quoted.clone(),
            table_use: Some(origin.table_use),
            columns: vec![column],
            is_bare: true,
        })
    }

    fn call(&self, node: &Node) -> Option<Piece<'a>> {
        if CALL_OPTIONS.iter().any(|option| node.has(option)) {
            return None;
        }
        let words = node.words("funcname");
        let (schema, name) = match words.as_slice() {
            [name] => (None, *name),
            [schema, name] => (Some(*schema), *name),
            _ => return None,
        };
        let arguments = node.list("args");
        let types: Vec<Option<u32>> = arguments
            .iter()
            .map(|argument| {
                let column = argument
                    .node()
                    .filter(|node| node.name == "ColumnRef")
                    .and_then(|node| self.column(node));
                column.and_then(|piece| piece.columns.first().map(|column| column.type_oid))
            })
            .collect();
        if !self.inventory.is_immutable(schema, name, &types) {
            return None;
        }
        let (sql, whole) = self.list(arguments)?;
        let schema = schema.map(|schema| index_review::quoted(schema) + ".").unwrap_or_default();
        Some(Piece { sql: format!("{schema}{}({sql})", index_review::quoted(name)), is_bare: true, ..whole })
    }

    fn operation(&self, node: &Node) -> Option<Piece<'a>> {
        let words = node.words("name");
        let operator = *words.last()?;
        let (left, right) = (self.piece(node.field("lexpr"))?, self.piece(node.field("rexpr"))?);
        let columns = || left.columns.iter().chain(&right.columns);
        let is_known = match operator {
            operator if JSON_OPERATORS.contains(&operator) => {
                columns().all(|column| matches!(column.type_name.as_str(), "json" | "jsonb"))
            }
            operator if NUMBER_OPERATORS.contains(&operator) => {
                columns().all(|column| column.category == "N")
            }
            "||" => columns().all(|column| column.is_text()),
            _ => false,
        };
        let table_use = one_of(left.table_use, right.table_use)?;
        let columns = columns().copied().collect();
        let sql = format!("({} {operator} {})", left.sql, right.sql);
        is_known.then_some(Piece { sql, table_use, columns, is_bare: true })
    }

    fn cast(&self, node: &Node) -> Option<Piece<'a>> {
        let target = node.child("type_name")?;
        let name = *target.words("names").last()?;
        if target.has("typmods") || target.has("array_bounds") {
            return None;
        }
        let piece = self.piece(node.field("arg"))?;
        let is_plain = |column: &&Column| matches!(column.category.as_str(), "N" | "S" | "B" | "U");
        let is_known = CAST_TARGETS.contains(&name) && piece.columns.iter().all(is_plain)
            || name == "date" && piece.columns.iter().all(|column| column.type_name == "timestamp");
        is_known.then(|| Piece { sql: format!("({}::{name})", piece.sql), is_bare: true, ..piece })
    }

    fn list(&self, items: &[Tree]) -> Option<(String, Piece<'a>)> {
        let mut whole = Piece { sql: String::new(), table_use: None, columns: Vec::new(), is_bare: false };
        let mut sql = Vec::new();
        for item in items {
            let piece = self.piece(item)?;
            whole.table_use = one_of(whole.table_use, piece.table_use)?;
            whole.columns.extend(piece.columns);
            sql.push(piece.sql);
        }
        Some((sql.join(", "), whole))
    }
}

/// The use that both belong to; None if they differ.
#[allow(clippy::option_option, reason = "no use at all is not the same as two that differ")]
fn one_of(one: Option<usize>, other: Option<usize>) -> Option<Option<usize>> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => None,
        (one, other) => Some(one.or(other)),
    }
}

/// A constant, cast or not; NULL is none.
pub(super) fn constant(tree: &Tree) -> Option<Constant> {
    let node = tree.node()?;
    if node.name == "TypeCast" {
        return constant(node.field("arg"));
    }
    let value = node.child("val").filter(|_| node.name == "AConst")?;
    let of_text = |text: &str| Constant { value: text.to_owned(), sql: literal(text) };
    let of_number = |text: String| Constant { sql: text.clone(), value: text };
    match value.name {
        "Integer" => Some(of_number(value.number("ival").to_string())),
        "Float" => Some(of_number(value.text("fval").to_owned())),
        "String" => Some(of_text(value.text("sval"))),
        "Boolean" if value.has("boolval") => Some(Constant { value: "t".to_owned(), sql: "true".to_owned() }),
        "Boolean" => Some(Constant { value: "f".to_owned(), sql: "false".to_owned() }),
        _ => None,
    }
}

/// A text in quotes, whatever standard_conforming_strings is.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}
