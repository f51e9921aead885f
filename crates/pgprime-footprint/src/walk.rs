//! The walk over all nodes of statements.

use pgprime_sql::{HARMLESS_NODES, Node, Tree};

use crate::builtin;
use crate::catalog::{Events, is_temporary};
use crate::footprint::NotKeptReason;
use crate::uses::{Call, Extent, Name, Uses};

/// Nodes that compute or belong to statements that are seen through, besides [`HARMLESS_NODES`]; sorted.
#[rustfmt::skip]
const SEEN_NODES: &[&str] = &[
    "DefElem", "DeleteStmt", "InferClause", "InsertStmt", "IntoClause", "LockingClause", "MergeStmt",
    "MergeWhenClause", "MultiAssignRef", "OnConflictClause", "RangeTableFunc", "RangeTableFuncCol",
    "ReturnStmt", "ReturningClause", "ReturningOption", "SetToDefault", "UpdateStmt", "XmlExpr", "XmlSerialize",
];

/// The parser's numbers for what a branch of MERGE does.
const MERGE_UPDATE: i64 = 3;
const MERGE_INSERT: i64 = 4;
const MERGE_DELETE: i64 = 5;
/// ON CONFLICT DO UPDATE.
const CONFLICT_UPDATE: i64 = 3;
/// TRUNCATE … CASCADE.
const CASCADE: i64 = 2;

pub(crate) struct Walk<'a> {
    pub(crate) uses: &'a mut Uses,
    /// Names of WITH that can be used so far, for each level of queries around a place.
    with: Vec<Vec<String>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(uses: &'a mut Uses) -> Self {
        Self { uses, with: Vec::new() }
    }

    /// One statement, whatever it is.
    pub(crate) fn statement(&mut self, tree: &Tree) {
        self.uses.statements += 1;
        self.uses.is_query = false;
        let Some(node) = tree.node() else { return };
        match node.name {
            "SelectStmt" => {
                self.uses.is_query = !has_into(node);
                self.uses.base = base(node);
                self.node(node);
            }
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "ReturnStmt" => self.node(node),
            _ => self.utility(node),
        }
    }

    pub(crate) fn tree(&mut self, tree: &Tree) {
        match tree {
            Tree::List(items) => items.iter().for_each(|item| self.tree(item)),
            Tree::Node(node) => self.node(node),
            Tree::Nothing | Tree::Number(_) | Tree::Text(_) => {}
        }
    }

    pub(crate) fn node(&mut self, node: &Node) {
        match node.name {
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
                return self.query(node);
            }
            "RangeVar" => self.read(node),
            "FuncCall" => self.call(node),
            "AExpr" => self.expression(node),
            // USING, NATURAL, and CASE with a value.
            "JoinExpr" if node.has("using_clause") || node.has("is_natural") => self.operator(&["="]),
            "CaseExpr" if node.has("arg") => self.operator(&["="]),
            "SubLink" if node.has("testexpr") && !node.has("oper_name") => self.operator(&["="]),
            "SubLink" => self.operator(&node.words("oper_name")),
            "SortBy" => self.operator(&node.words("use_op")),
            "TypeName" => self.kind(node),
            "ColumnRef" => {
                let words = node.words("fields");
                self.column(words.last());
                self.attributes(words.get(1..).unwrap_or_default());
            }
            "AIndirection" => {
                let words = node.words("indirection");
                self.column(words.last());
                self.attributes(&words);
            }
            "AConst" => self.constant(node),
            "SqlValueFunction" => {
                self.uses.against(NotKeptReason::Stable, value_function(node.number("op")));
            }
            "RangeTableSample" => self.uses.against(NotKeptReason::Volatile, "TABLESAMPLE"),
            // The names in it are those of FROM again.
            "LockingClause" => return self.uses.against(NotKeptReason::Locks, ""),
            "IntoClause" => return self.fill_new(node),
            _ if HARMLESS_NODES.binary_search(&node.name).is_ok() => {}
            _ if SEEN_NODES.binary_search(&node.name).is_ok() => {}
            _ => self.uses.against(NotKeptReason::Opaque, node.name),
        }
        self.fields(node);
    }

    fn fields(&mut self, node: &Node) {
        node.fields().for_each(|(_, value)| self.tree(value));
    }

    /// A level of its own for the names of WITH.
    fn query(&mut self, node: &Node) {
        self.with.push(Vec::new());
        if let Some(with) = node.child("with_clause") {
            self.with(with);
        }
        if let Some(events) = events(node) {
            self.change(node, events);
        }
        let is_change = node.name != "SelectStmt";
        for (name, value) in node.fields() {
            if name != "with_clause" && !(is_change && name == "relation") {
                self.tree(value);
            }
        }
        self.with.pop();
    }

    fn with(&mut self, with: &Node) {
        let names = |item: &Tree| item.node().map(|node| node.text("ctename").to_owned());
        let is_recursive = with.has("recursive");
        if is_recursive {
            with.list("ctes").iter().filter_map(names).for_each(|name| self.name(name));
        }
        for item in with.list("ctes") {
            self.tree(item);
            // Without RECURSIVE a name is known only behind its query.
            if let Some(name) = names(item).filter(|_| !is_recursive) {
                self.name(name);
            }
        }
    }

    fn name(&mut self, name: String) {
        if let Some(level) = self.with.last_mut() {
            level.push(name);
        }
    }

    /// The target of a change, which is never a query of WITH.
    fn change(&mut self, node: &Node, events: Events) {
        let Some(target) = node.child("relation") else {
            return self.uses.anything(format!("a {} without a table", node.name));
        };
        let name = relation_name(target);
        if events != Events::INSERT {
            self.uses.reads.insert((name.clone(), extent(target)));
        }
        if !is_empty(events) {
            self.uses.write(name, events);
        }
    }

    pub(crate) fn read(&mut self, range: &Node) {
        let name = relation_name(range);
        let is_with = name.schema.is_none() && self.with.iter().any(|level| level.contains(&name.name));
        if !is_with {
            self.uses.reads.insert((name, extent(range)));
        }
    }

    fn call(&mut self, node: &Node) {
        let Some(name) = Name::of_words(&node.words("funcname")) else { return };
        if name.name == "set_config" {
            self.set_config(node);
        }
        let ordered = if node.has("agg_within_group") { node.list("agg_order").len() } else { 0 };
        let arguments = Some(node.list("args").len() + ordered);
        self.uses.calls.insert(Call { name, arguments });
    }

    fn set_config(&mut self, call: &Node) {
        let setting = call.list("args").first().and_then(Tree::node).and_then(|node| node.child("val"));
        let setting = setting.filter(|value| value.name == "String").map(|value| value.text("sval"));
        let is_local = call.list("args").get(2).and_then(Tree::node).is_some_and(is_true);
        self.set(setting, is_local);
    }

    /// A setting, if it is known which, is changed.
    pub(crate) fn set(&mut self, setting: Option<&str>, is_local: bool) {
        self.uses.changes_session |= setting.is_none_or(builtin::changes_session);
        self.uses.leaves_traces |= !is_local;
    }

    fn expression(&mut self, node: &Node) {
        match node.words("name").as_slice() {
            [name] if name.contains("BETWEEN") => {
                [["<"], ["<="], [">"], [">="]].iter().for_each(|bound| self.operator(bound));
            }
            words => self.operator(words),
        }
    }

    fn operator(&mut self, words: &[&str]) {
        self.uses.operators.extend(Name::of_words(words));
    }

    fn kind(&mut self, node: &Node) {
        let Some(name) = Name::of_words(&node.words("names")) else { return };
        if builtin::is_object_name(&name.name) {
            self.uses.against(NotKeptReason::System, format!("type {}", name.name));
        }
        if name.name == "timetz" {
            // A time without a zone gets today's.
            self.uses.against(NotKeptReason::Stable, "time with time zone");
        }
        self.uses.types.insert(name.name);
    }

    fn constant(&mut self, node: &Node) {
        let value = node.child("val").filter(|value| value.name == "String").map(|value| value.text("sval"));
        if let Some(value) = value.filter(|value| builtin::is_relative_time(value)) {
            self.uses.against(NotKeptReason::Stable, format!("'{value}'"));
        }
    }

    /// What may be the name of a column.
    fn column(&mut self, word: Option<&&str>) {
        // VACUUM FULL and CLUSTER change the one, locks on rows the others, and none of these is a change of the table.
        if let Some(word) = word.filter(|word| matches!(**word, "ctid" | "xmax" | "cmin" | "cmax")) {
            self.uses.against(NotKeptReason::System, *word);
        }
    }

    fn attributes(&mut self, words: &[&str]) {
        self.uses.attributes.extend(words.iter().map(|word| (*word).to_owned()));
    }

    /// SELECT INTO and CREATE TABLE AS.
    pub(crate) fn fill_new(&mut self, into: &Node) {
        self.uses.is_query = false;
        let Some(table) = into.child("rel") else { return };
        self.create(table);
    }

    /// A new table that is filled at once.
    fn create(&mut self, table: &Node) {
        let name = relation_name(table);
        self.uses.against(NotKeptReason::Writes, name.to_string());
        self.uses.fires_event_triggers = true;
        if is_temporary_table(table) {
            self.uses.leaves_traces = true;
            self.uses.temporary.insert(name.name);
        } else {
            self.uses.created.insert(name);
            self.uses.changes_definitions = true;
        }
    }

    /// A name of a table that is about to be temporary.
    pub(crate) fn is_temporary(&mut self, table: &Node) -> bool {
        let is_temporary = is_temporary_table(table);
        if is_temporary {
            self.uses.leaves_traces = true;
            self.uses.fires_event_triggers = true;
            self.uses.temporary.insert(table.text("relname").to_owned());
        }
        is_temporary
    }
}

/// The constant `true`, which `'t'::boolean` is not taken for.
fn is_true(node: &Node) -> bool {
    node.child("val").is_some_and(|value| value.name == "Boolean" && value.has("boolval"))
}

fn has_into(select: &Node) -> bool {
    select.has("into_clause") || select.child("larg").is_some_and(has_into)
}

/// What a change does to its target; `None` for what changes nothing by itself.
fn events(node: &Node) -> Option<Events> {
    let none = Events::of_type(0);
    match node.name {
        "InsertStmt" => {
            let conflict = node.child("on_conflict_clause").map_or(0, |clause| clause.number("action"));
            let updates = conflict == CONFLICT_UPDATE;
            Some(if updates { Events::INSERT.and(Events::UPDATE) } else { Events::INSERT })
        }
        "UpdateStmt" => Some(Events::UPDATE),
        "DeleteStmt" => Some(Events::DELETE),
        "MergeStmt" => {
            let branches = node.list("merge_when_clauses").iter().filter_map(Tree::node);
            Some(branches.fold(none, |all, branch| match branch.number("command_type") {
                MERGE_UPDATE => all.and(Events::UPDATE),
                MERGE_INSERT => all.and(Events::INSERT),
                MERGE_DELETE => all.and(Events::DELETE),
                _ => all,
            }))
        }
        _ => None,
    }
}

fn is_empty(events: Events) -> bool {
    events == Events::of_type(0)
}

/// What TRUNCATE does.
pub(crate) fn truncation(node: &Node) -> Events {
    if node.number("behavior") == CASCADE { Events::TRUNCATE_CASCADE } else { Events::TRUNCATE }
}

pub(crate) fn relation_name(range: &Node) -> Name {
    let schema = range.text("schemaname");
    Name { schema: (!schema.is_empty()).then(|| schema.to_owned()), name: range.text("relname").to_owned() }
}

fn extent(range: &Node) -> Extent {
    if range.has("inh") { Extent::Whole } else { Extent::Own }
}

pub(crate) fn is_temporary_table(table: &Node) -> bool {
    table.text("relpersistence") == "t" || is_temporary(table.text("schemaname"))
}

/// The one relation that a SELECT is a view of, through which it can be written.
fn base(select: &Node) -> Option<Name> {
    match select.list("from_clause") {
        [Tree::Node(only)] if only.name == "RangeVar" => Some(relation_name(only)),
        _ => None,
    }
}

/// A word such as CURRENT_DATE, by the parser's number.
fn value_function(op: i64) -> &'static str {
    match op {
        1 => "CURRENT_DATE",
        2 | 3 => "CURRENT_TIME",
        4 | 5 => "CURRENT_TIMESTAMP",
        6 | 7 => "LOCALTIME",
        8 | 9 => "LOCALTIMESTAMP",
        10 => "CURRENT_ROLE",
        11 => "CURRENT_USER",
        12 => "USER",
        13 => "SESSION_USER",
        14 => "CURRENT_CATALOG",
        15 => "CURRENT_SCHEMA",
        _ => "a value of the session",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(SEEN_NODES.is_sorted_by(|a, b| a < b));
    }
}
