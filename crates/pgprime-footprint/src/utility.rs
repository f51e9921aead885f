//! Statements that have no plan.

use pgprime_sql::{Node, Tree};

use crate::catalog::Events;
use crate::footprint::NotKeptReason;
use crate::uses::{Call, Name};
use crate::walk::{Walk, is_temporary_table, relation_name, truncation};

/// Statements that change neither rows nor what names mean; sorted. Cursors run what was seen where they were declared, and
/// prepared statements count where they are executed.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    "CheckPointStmt", "ClosePortalStmt", "ClusterStmt", "CommentStmt", "ConstraintsSetStmt", "CreateStatsStmt",
    "DeallocateStmt", "FetchStmt", "IndexStmt", "ListenStmt", "LockStmt", "NotifyStmt", "PrepareStmt",
    "ReindexStmt", "UnlistenStmt", "VacuumStmt", "VariableShowStmt",
];

/// Of those that are seen through, such as event triggers go off for; sorted.
const FIRE_EVENT_TRIGGERS: &[&str] =
    &["CommentStmt", "CreateStatsStmt", "IndexStmt", "RefreshMatViewStmt", "ReindexStmt"];

/// The parser's numbers for COMMIT PREPARED and ROLLBACK PREPARED.
const PREPARED: [i64; 2] = [9, 10];
/// RESET ALL.
const RESET_ALL: i64 = 6;

impl Walk<'_> {
    pub(crate) fn utility(&mut self, node: &Node) {
        self.uses.against(NotKeptReason::NotARead, "");
        self.uses.fires_event_triggers |= FIRE_EVENT_TRIGGERS.binary_search(&node.name).is_ok();
        match node.name {
            name if HARMLESS.binary_search(&name).is_ok() => {}
            "TransactionStmt" => self.transaction(node),
            "VariableSetStmt" => {
                let is_all = node.number("kind") == RESET_ALL;
                self.set((!is_all).then(|| node.text("name")), node.has("is_local"));
            }
            "DiscardStmt" => self.uses.changes_session = true,
            "ExplainStmt" => self.explain(node),
            "DeclareCursorStmt" => self.tree(node.field("query")),
            "CopyStmt" => self.copy(node),
            "TruncateStmt" => {
                let tables = node.list("relations").iter().filter_map(Tree::node);
                tables.for_each(|table| self.uses.write(relation_name(table), truncation(node)));
            }
            "RefreshMatViewStmt" => self.refresh(node),
            "CreateTableAsStmt" => self.create_as(node),
            "CreateStmt" if node.child("relation").is_some_and(|table| self.is_temporary(table)) => {}
            "ViewStmt" if node.child("view").is_some_and(|view| view.text("relpersistence") == "t") => {
                self.uses.changes_session = true;
                self.uses.fires_event_triggers = true;
            }
            // On a temporary table, which is in no catalog that is known, it goes off unseen from here on.
            "CreateTrigStmt" | "RuleStmt" if node.child("relation").is_some_and(may_be_temporary) => {
                self.uses.changes_session = true;
                self.uses.changes_definitions = true;
                self.uses.anything("it changes definitions");
            }
            "DoStmt" => self.block(node),
            "CallStmt" => self.procedure(node),
            "ExecuteStmt" => self.uses.anything("it executes a prepared statement"),
            _ => {
                self.uses.changes_definitions = true;
                self.uses.anything("it changes definitions");
            }
        }
    }

    fn transaction(&mut self, node: &Node) {
        self.uses.controls = true;
        if PREPARED.contains(&node.number("kind")) {
            self.uses.anything("it ends a prepared transaction");
        }
    }

    fn explain(&mut self, node: &Node) {
        let mut options = node.list("options").iter().filter_map(Tree::node);
        if options.any(|option| option.text("defname") == "analyze") {
            self.inner(node.field("query"));
        }
    }

    /// A statement within another; CREATE TABLE AS and EXECUTE included.
    fn inner(&mut self, query: &Tree) {
        let statements = self.uses.statements;
        self.statement(query);
        self.uses.statements = statements;
        self.uses.is_query = false;
    }

    fn copy(&mut self, node: &Node) {
        self.tree(node.field("query"));
        self.tree(node.field("where_clause"));
        let Some(table) = node.child("relation") else { return };
        if node.has("is_from") {
            self.uses.write(relation_name(table), Events::INSERT);
        } else {
            self.read(table);
        }
    }

    fn refresh(&mut self, node: &Node) {
        if let Some(view) = node.child("relation") {
            self.uses.write(relation_name(view), Events::REFRESH);
        }
    }

    fn create_as(&mut self, node: &Node) {
        self.inner(node.field("query"));
        let is_view = node.child("into").is_some_and(|into| into.has("view_query"));
        match node.child("into") {
            Some(into) if !is_view && node.number("objtype") != MATERIALIZED_VIEW => self.fill_new(into),
            _ => {
                self.uses.changes_definitions = true;
                self.uses.anything("it changes definitions");
            }
        }
    }

    fn block(&mut self, node: &Node) {
        let mut body = "";
        let mut language = "plpgsql";
        for option in node.list("args").iter().filter_map(Tree::node) {
            let value = option.child("arg").map_or("", |arg| arg.text("sval"));
            match option.text("defname") {
                "as" => body = value,
                "language" => language = value,
                _ => {}
            }
        }
        if language == "plpgsql" {
            self.uses.blocks.push(body.to_owned());
        } else {
            self.uses.anything(format!("it runs a block in {language}"));
        }
    }

    fn procedure(&mut self, node: &Node) {
        let Some(call) = node.child("funccall") else {
            return self.uses.anything("it calls a procedure without a name");
        };
        if let Some(name) = Name::of_words(&call.words("funcname")) {
            self.uses.calls.insert(Call { name, arguments: None });
        }
        self.tree(call.field("args"));
    }

    /// The actions of a rule, from its definition.
    pub(crate) fn rule(&mut self, tree: &Tree) {
        let Some(rule) = tree.node().filter(|node| node.name == "RuleStmt") else { return };
        self.tree(rule.field("where_clause"));
        rule.list("actions").iter().for_each(|action| self.statement(action));
    }

    /// The statements of a function's body that is bound to what it names, from [`around_bound`].
    pub(crate) fn bound(&mut self, tree: &Tree) {
        let Some(function) = tree.node().filter(|node| node.name == "CreateFunctionStmt") else { return };
        self.body(function.field("sql_body"));
    }

    fn body(&mut self, body: &Tree) {
        match body {
            Tree::Nothing => {}
            Tree::Node(node) if node.name != "List" => self.statement(body),
            _ => body.items().iter().for_each(|item| self.body(item)),
        }
    }
}

/// Whether a relation's name may stand for a temporary one.
fn may_be_temporary(relation: &Node) -> bool {
    relation.text("schemaname").is_empty() || is_temporary_table(relation)
}

/// CREATE MATERIALIZED VIEW among what CREATE … AS makes, by the parser's number.
const MATERIALIZED_VIEW: i64 = 24;

/// A definition around the body of a function that is bound to what it names.
pub(crate) fn around_bound(body: &str) -> String {
    format!("CREATE FUNCTION bound() RETURNS void LANGUAGE sql {body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(HARMLESS.is_sorted_by(|a, b| a < b));
        assert!(FIRE_EVENT_TRIGGERS.is_sorted_by(|a, b| a < b));
    }
}
