//! What a statement consists of, gathered in one walk over all of its tree.

use std::collections::BTreeSet;

use super::names::{FunctionName, OperatorName, TableName, TypeName, split};
use super::placeholders::{ParameterPlace, Places};
use super::rewrite::Edit;
use super::scopes::{Scopes, table_name};
use super::tree::{Node, Tree};

/// What is said of a statement from its tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The kind of the statement's own node.
    pub(super) root: &'static str,
    /// Every kind of node in it.
    pub(super) nodes: BTreeSet<&'static str>,
    /// Whether a SELECT in it has INTO.
    pub(super) has_into: bool,
    /// Whether a SELECT in it has FOR UPDATE or the like.
    pub(super) has_locking: bool,
    /// Relations, names that stand for a query of WITH left out.
    pub(super) tables: BTreeSet<TableName>,
    /// All names of relations, wherever they stand.
    pub(super) relation_names: BTreeSet<TableName>,
    pub(super) functions: BTreeSet<FunctionName>,
    pub(super) operators: BTreeSet<OperatorName>,
    pub(super) types: BTreeSet<TypeName>,
    /// Names behind a dot: a column's, or a function's that takes the row.
    pub(super) attributes: BTreeSet<String>,
    /// Methods of TABLESAMPLE.
    pub(super) sampling: BTreeSet<FunctionName>,
    /// One for each number up to the highest.
    pub(super) places: Vec<ParameterPlace>,
    /// What PostgreSQL's grammar takes only with a constant.
    pub(super) edits: Vec<Edit>,
}

impl Facts {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut walk = Walk::default();
        walk.facts.root = tree.node().map_or("", |node| node.name);
        walk.tree(tree);
        Self { places: walk.places.into_places(), ..walk.facts }
    }
}

#[derive(Default)]
struct Walk {
    facts: Facts,
    places: Places,
    scopes: Scopes,
}

impl Walk {
    fn tree(&mut self, tree: &Tree) {
        match tree {
            Tree::List(items) => items.iter().for_each(|item| self.tree(item)),
            Tree::Node(node) => self.node(node),
            Tree::Nothing | Tree::Number(_) | Tree::Text(_) => {}
        }
    }

    fn node(&mut self, node: &Node) {
        self.facts.nodes.insert(node.name);
        match node.name {
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
                return self.query(node);
            }
            "RangeVar" => self.relation(node),
            "FuncCall" => self.function(node),
            "AExpr" => self.expression(node),
            // USING, NATURAL, and CASE with a value.
            "JoinExpr" if node.has("using_clause") || node.has("is_natural") => self.operator(&["="], ""),
            "CaseExpr" if node.has("arg") => self.operator(&["="], ""),
            "SubLink" => self.operator(&node.words("oper_name"), "="),
            "SortBy" => self.operator(&node.words("use_op"), ""),
            "TypeName" => self.facts.types.extend(split(&node.words("names")).map(Into::into)),
            "TypeCast" => self.facts.edits.extend(Edit::of_cast(node)),
            "ColumnRef" => self.attributes(node.words("fields").get(1..).unwrap_or_default()),
            "AIndirection" => self.attributes(&node.words("indirection")),
            "RangeTableSample" => self.facts.sampling.extend(split(&node.words("method")).map(Into::into)),
            "ParamRef" => {
                self.places.meet(node);
            }
            _ => {}
        }
        self.fields(node);
    }

    fn fields(&mut self, node: &Node) {
        node.fields().for_each(|(_, value)| self.tree(value));
    }

    /// A level of its own for the names in it.
    fn query(&mut self, node: &Node) {
        self.facts.has_into |= node.has("into_clause");
        self.facts.has_locking |= node.has("locking_clause");
        self.scopes.enter();
        if let Some(with) = node.child("with_clause") {
            self.with(with);
        }
        ["relation", "from_clause", "using_clause", "source_relation"]
            .iter()
            .for_each(|field| self.scopes.add_tables(node.field(field)));
        if node.name == "UpdateStmt" {
            let targets = node.list("target_list").iter().filter_map(Tree::node);
            targets.for_each(|target| self.places.assign(target, &self.scopes));
        }
        self.places.limit(node.field("limit_count"), ParameterPlace::Limit);
        self.places.limit(node.field("limit_offset"), ParameterPlace::Offset);
        node.fields().filter(|(name, _)| *name != "with_clause").for_each(|(_, value)| self.tree(value));
        self.scopes.leave();
    }

    fn with(&mut self, with: &Node) {
        self.facts.nodes.insert(with.name);
        let names = |item: &Tree| item.node().map(|node| node.text("ctename").to_owned());
        let is_recursive = with.has("recursive");
        if is_recursive {
            with.list("ctes").iter().filter_map(names).for_each(|name| self.scopes.add_with(&name));
        }
        for item in with.list("ctes") {
            self.tree(item);
            // Without RECURSIVE a name is known only behind its query.
            if let Some(name) = names(item).filter(|_| !is_recursive) {
                self.scopes.add_with(&name);
            }
        }
    }

    fn relation(&mut self, node: &Node) {
        let table = table_name(node);
        if !self.scopes.is_with(&table) {
            self.facts.tables.insert(table.clone());
        }
        self.facts.relation_names.insert(table);
    }

    fn function(&mut self, node: &Node) {
        self.facts.functions.extend(split(&node.words("funcname")).map(Into::into));
    }

    fn expression(&mut self, node: &Node) {
        match node.words("name").as_slice() {
            [name] if name.contains("BETWEEN") => {
                [["<"], ["<="], [">"], [">="]].iter().for_each(|bound| self.operator(bound, ""));
            }
            words => self.operator(words, ""),
        }
        self.places.compare(node, &self.scopes);
    }

    fn operator(&mut self, words: &[&str], otherwise: &str) {
        match split(words) {
            Some(name) => drop(self.facts.operators.insert(name.into())),
            None if otherwise.is_empty() => {}
            None => drop(self.facts.operators.insert((None, otherwise.to_owned()).into())),
        }
    }

    fn attributes(&mut self, words: &[&str]) {
        self.facts.attributes.extend(words.iter().map(|word| (*word).to_owned()));
    }
}
