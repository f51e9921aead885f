//! Which tables a statement reads, and what it looks for in each: one walk over its tree, with names resolved through
//! aliases, subqueries, WITH and views.

use super::expression::{Expressions, constant};
use super::inventory::{Inventory, Kind};
use super::source::{Levels, Origin, Outputs, Resolved, Source};
use super::table_use::{Item, OrderKey, TableUse, Uses};
use crate::sql::{Node, Statement, TableName, Tree};

/// How deep views in views are followed.
const VIEW_DEPTH_MAX: usize = 8;
/// Uses of tables that are looked at in one statement.
const USES_MAX: usize = 64;
/// The stack of the thread that walks, in bytes; only what is used of it takes memory.
const STACK_BYTES: usize = 256 << 20;

/// What a statement reads and writes. Runs on a thread with stack enough for the deepest tree; a statement for which there
/// is none gives nothing.
pub(super) fn uses(inventory: &Inventory, statement: &Statement) -> Uses {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("uses".to_owned()).stack_size(STACK_BYTES);
        let worker = builder.spawn_scoped(scope, || {
            let mut walk =
                Walk { inventory, uses: Uses::default(), levels: Levels::default(), view_depth: 0 };
            walk.query(&Tree::of(statement.tree()));
            walk.uses
        });
        worker.ok().and_then(|worker| worker.join().ok()).unwrap_or_default()
    })
}

/// The walk; what it makes of conditions is in `conditions`.
pub(super) struct Walk<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) uses: Uses,
    pub(super) levels: Levels,
    view_depth: usize,
}

impl Walk<'_> {
    pub(super) fn expressions(&self) -> Expressions<'_> {
        Expressions { inventory: self.inventory, levels: &self.levels, uses: &self.uses.tables }
    }

    pub(super) fn item(&self, tree: &Tree) -> Option<(usize, Item)> {
        self.expressions().item(tree)
    }

    fn query(&mut self, tree: &Tree) -> Outputs {
        let Some(node) = tree.node() else { return Outputs::new() };
        self.levels.enter();
        if let Some(with) = node.child("with_clause") {
            for item in with.list("ctes").iter().filter_map(Tree::node) {
                let outputs = self.query(item.field("ctequery"));
                self.levels.add_with(item.text("ctename"), outputs);
            }
        }
        let outputs = match node.name {
            "SelectStmt" if node.has("larg") => self.set_operation(node),
            "SelectStmt" => self.select(node),
            "InsertStmt" => {
                self.write(node.field("relation"));
                self.query(node.field("select_stmt"));
                Outputs::new()
            }
            "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
                self.change(node);
                Outputs::new()
            }
            _ => Outputs::new(),
        };
        self.levels.leave();
        outputs
    }

    /// UNION and its like: the columns are no table's own.
    fn set_operation(&mut self, node: &Node) -> Outputs {
        let outputs = self.query(node.field("larg"));
        self.query(node.field("rarg"));
        outputs.into_iter().map(|(name, _)| (name, None)).collect()
    }

    fn select(&mut self, node: &Node) -> Outputs {
        let mut joins = Vec::new();
        for source in node.list("from_clause") {
            self.source(source, &mut joins);
        }
        joins.into_iter().for_each(|condition| self.holds(condition));
        self.holds(node.field("where_clause"));
        ["target_list", "group_clause", "having_clause", "sort_clause", "window_clause", "values_lists"]
            .iter()
            .for_each(|field| self.mark(node.field(field)));
        self.groups(node);
        self.order(node);
        if !node.has("group_clause") {
            self.extremes(node.list("target_list"));
        }
        self.outputs(node.list("target_list"))
    }

    fn change(&mut self, node: &Node) {
        self.write(node.field("relation"));
        let first = self.uses.tables.len();
        let mut joins = Vec::new();
        self.source(node.field("relation"), &mut joins);
        if let Some(target) = self.uses.tables.get_mut(first) {
            target.is_whole_row = true;
        }
        ["from_clause", "using_clause"]
            .iter()
            .flat_map(|field| node.list(field))
            .for_each(|source| self.source(source, &mut joins));
        self.source(node.field("source_relation"), &mut joins);
        joins.into_iter().for_each(|condition| self.holds(condition));
        self.holds(node.field("where_clause"));
        self.holds(node.field("join_condition"));
        ["target_list", "returning_list", "merge_when_clauses"]
            .iter()
            .for_each(|field| self.mark(node.field(field)));
    }

    fn write(&mut self, relation: &Tree) {
        let place = relation.node().map(table_name).and_then(|name| self.inventory.relation(&name));
        self.uses.written.extend(place);
    }

    /// What FROM names; conditions of joins are put aside until all sources are known.
    fn source<'t>(&mut self, tree: &'t Tree, joins: &mut Vec<&'t Tree>) {
        let Some(node) = tree.node() else { return };
        let alias = node.child("alias");
        match node.name {
            // Columns with other names are not followed.
            _ if alias.is_some_and(|alias| alias.has("colnames")) => {}
            "RangeVar" => {
                let name = table_name(node);
                let alias = alias.map_or(name.name.clone(), |alias| alias.text("aliasname").to_owned());
                if let Some(source) = self.relation(&name) {
                    self.levels.add_source(&alias, source);
                }
            }
            "RangeSubselect" => {
                let outputs = self.query(node.field("subquery"));
                let alias = alias.map_or("", |alias| alias.text("aliasname"));
                self.levels.add_source(alias, Source::Query(outputs));
            }
            "JoinExpr" => {
                self.source(node.field("larg"), joins);
                self.source(node.field("rarg"), joins);
                joins.push(node.field("quals"));
                node.words("using_clause").iter().for_each(|name| self.join_using(name));
            }
            _ => {}
        }
    }

    fn relation(&mut self, name: &TableName) -> Option<Source> {
        if let Some(outputs) = self.levels.with(&name.name).filter(|_| name.schema.is_none()) {
            return Some(Source::Query(outputs.clone()));
        }
        let place = self.inventory.relation(name)?;
        let relation = self.inventory.relations.get(place)?;
        match &relation.kind {
            Kind::View(Some(query)) if self.view_depth < VIEW_DEPTH_MAX => {
                // A view sees no name of the query around it.
                let around = std::mem::take(&mut self.levels);
                self.view_depth += 1;
                let outputs = self.query(&Tree::of(query.tree()));
                self.view_depth -= 1;
                self.levels = around;
                Some(Source::Query(outputs))
            }
            Kind::Table | Kind::Partitioned { .. } if self.uses.tables.len() < USES_MAX => {
                let table_use = self.uses.tables.len();
                self.uses.tables.push(TableUse { relation: place, ..TableUse::default() });
                let columns = relation.columns.iter().map(|column| column.name.clone()).collect();
                Some(Source::Table { table_use, columns })
            }
            _ => None,
        }
    }

    /// A column of USING is one of each of two sources.
    fn join_using(&mut self, name: &str) {
        let sources = self.levels.innermost().iter().flat_map(|(_, source)| source.outputs());
        let origins: Vec<Origin> =
            sources.filter(|(output, _)| output == name).filter_map(|(_, origin)| origin).collect();
        for (at, origin) in origins.iter().enumerate() {
            let other =
                origins.iter().enumerate().find(|(place, _)| *place != at).map(|(_, other)| other.table_use);
            if let (Some(other), Some(item)) = (other, self.column_item(origin)) {
                self.read(origin);
                self.add_join(origin.table_use, item, other);
            }
        }
    }

    pub(super) fn column_item(&self, origin: &Origin) -> Option<Item> {
        let relation = self.inventory.relations.get(self.uses.tables.get(origin.table_use)?.relation)?;
        let column = relation.column(&origin.column)?;
        Some(Item { sql: column.quoted.clone(), columns: vec![column.name.clone()], is_expression: false })
    }

    fn read(&mut self, origin: &Origin) {
        if let Some(table_use) = self.uses.tables.get_mut(origin.table_use) {
            table_use.columns.insert(origin.column.clone());
        }
    }

    /// Notes the columns that an expression reads, and follows the subqueries in it.
    pub(super) fn mark(&mut self, tree: &Tree) {
        let node = match tree {
            Tree::List(items) => return items.iter().for_each(|item| self.mark(item)),
            Tree::Node(node) => node,
            _ => return,
        };
        match node.name {
            "ColumnRef" => self.mark_column(node),
            "SubLink" => self.sublink(node),
            "SelectStmt" => drop(self.query(tree)),
            _ => node.fields().for_each(|(_, value)| self.mark(value)),
        }
    }

    fn mark_column(&mut self, node: &Node) {
        let words = node.words("fields");
        let is_star = words.len() < node.list("fields").len();
        if !is_star {
            match self.levels.resolve(&words) {
                Resolved::Column(origin) => self.read(&origin),
                Resolved::Row(table_use) => self.read_row(table_use),
                Resolved::Unknown => {}
            }
            return;
        }
        let sources: Vec<Source> = match words.last() {
            Some(alias) => self.levels.source(alias).cloned().into_iter().collect(),
            None => self.levels.innermost().iter().map(|(_, source)| source.clone()).collect(),
        };
        for source in sources {
            match source {
                Source::Table { table_use, .. } => self.read_row(table_use),
                Source::Query(outputs) => {
                    outputs.iter().filter_map(|(_, origin)| origin.as_ref()).for_each(|o| self.read(o))
                }
            }
        }
    }

    fn read_row(&mut self, table_use: usize) {
        if let Some(table_use) = self.uses.tables.get_mut(table_use) {
            table_use.is_whole_row = true;
        }
    }

    /// A subquery; `x IN (SELECT y …)` is a join.
    fn sublink(&mut self, node: &Node) {
        self.mark(node.field("testexpr"));
        let outputs = self.query(node.field("subselect"));
        let outer = self.item(node.field("testexpr"));
        let inner = outputs.into_iter().next().and_then(|(_, origin)| origin);
        if let (Some((outer_use, outer)), Some(inner)) = (outer, inner) {
            self.add_join(outer_use, outer, inner.table_use);
            if let Some(item) = self.column_item(&inner) {
                self.add_join(inner.table_use, item, outer_use);
            }
        }
    }

    fn outputs(&self, targets: &[Tree]) -> Outputs {
        let mut outputs = Outputs::new();
        for target in targets.iter().filter_map(Tree::node) {
            let value = target.field("val");
            let column = value.node().filter(|node| node.name == "ColumnRef");
            let words = column.map(|node| node.words("fields")).unwrap_or_default();
            if column.is_some_and(|node| words.len() < node.list("fields").len()) {
                match words.last() {
                    Some(alias) => {
                        outputs.extend(self.levels.source(alias).map(Source::outputs).unwrap_or_default())
                    }
                    None => outputs
                        .extend(self.levels.innermost().iter().flat_map(|(_, source)| source.outputs())),
                }
                continue;
            }
            let name = match target.text("name") {
                "" => words.last().copied().unwrap_or_default(),
                name => name,
            };
            let origin = match self.levels.resolve(&words) {
                Resolved::Column(origin) => Some(origin),
                _ => None,
            };
            outputs.push((name.to_owned(), origin));
        }
        outputs
    }

    fn groups(&mut self, node: &Node) {
        let targets = node.list("target_list");
        let distinct = node.list("distinct_clause");
        // DISTINCT without ON is a list of nothing.
        let is_plain = !distinct.is_empty() && distinct.iter().all(|item| item.node().is_none());
        let values: Vec<&Tree> = match () {
            () if is_plain => {
                targets.iter().filter_map(Tree::node).map(|target| target.field("val")).collect()
            }
            () => node.list("group_clause").iter().chain(distinct).map(|item| meant(item, targets)).collect(),
        };
        for (table_use, item) in values.into_iter().map_while(|value| self.item(value)).collect::<Vec<_>>() {
            self.uses.tables[table_use].groups.push(item);
        }
    }

    fn order(&mut self, node: &Node) {
        let targets = node.list("target_list");
        let mut first = None;
        for sort in node.list("sort_clause").iter().filter_map(Tree::node) {
            let Some((table_use, item)) = self.item(meant(sort.field("node"), targets)) else { break };
            // Only keys of one table can come from an index.
            if *first.get_or_insert(table_use) != table_use {
                break;
            }
            let is_descending = sort.number("sortby_dir") == DESCENDING;
            let nulls_first = match sort.number("sortby_nulls") {
                NULLS_FIRST => true,
                NULLS_LAST => false,
                _ => is_descending,
            };
            let table_use = &mut self.uses.tables[table_use];
            table_use.has_limit = node.has("limit_count");
            table_use.order.push(OrderKey { item, is_descending, nulls_first });
        }
    }

    /// `max(x)` is the first one in order of x.
    fn extremes(&mut self, targets: &[Tree]) {
        for target in targets.iter().filter_map(Tree::node) {
            let Some(call) = target.child("val").filter(|node| node.name == "FuncCall") else { continue };
            if !matches!(call.words("funcname").last(), Some(&("min" | "max"))) {
                continue;
            }
            if let Some((table_use, item)) =
                call.list("args").first().and_then(|argument| self.item(argument))
            {
                self.uses.tables[table_use].extremes.push(item);
            }
        }
    }
}

/// Of the grammar's SortByDir and SortByNulls.
const DESCENDING: i64 = pg_query::protobuf::SortByDir::SortbyDesc as i64;
const NULLS_FIRST: i64 = pg_query::protobuf::SortByNulls::SortbyNullsFirst as i64;
const NULLS_LAST: i64 = pg_query::protobuf::SortByNulls::SortbyNullsLast as i64;

/// What a key of ORDER BY or GROUP BY means: a target by its number or its name, or the expression itself.
fn meant<'t>(tree: &'t Tree, targets: &'t [Tree]) -> &'t Tree {
    let value = |target: &'t Tree| target.node().map(|node| node.field("val"));
    if let Some(number) = constant(tree).and_then(|constant| constant.value.parse::<usize>().ok()) {
        return number.checked_sub(1).and_then(|place| targets.get(place)).and_then(value).unwrap_or(tree);
    }
    let words = tree.node().filter(|node| node.name == "ColumnRef").map(|node| node.words("fields"));
    if let Some([name]) = words.as_deref() {
        let named =
            targets.iter().find(|target| target.node().is_some_and(|node| node.text("name") == *name));
        return named.and_then(value).unwrap_or(tree);
    }
    tree
}

fn table_name(range: &Node) -> TableName {
    let schema = range.text("schemaname");
    TableName {
        schema: (!schema.is_empty()).then(|| schema.to_owned()),
        name: range.text("relname").to_owned(),
    }
}
