//! A node in few words.

use super::kind::Kind;
use super::model::Node;

/// What the node does and to what: `Parallel Seq Scan on orders o`, as in EXPLAIN's text format.
pub(super) fn label(node: &Node) -> String {
    let mut label = String::new();
    if node.is_parallel_aware {
        label.push_str("Parallel ");
    }
    label.push_str(&what(node));
    if node.is_backward {
        label.push_str(" Backward");
    }
    if let Some(index) = &node.index {
        label.push_str(if node.kind == Kind::BitmapIndexScan { " on " } else { " using " });
        label.push_str(index);
    }
    let target = [&node.relation, &node.cte, &node.function].into_iter().flatten().next();
    match (target, &node.alias) {
        (Some(target), Some(alias)) if alias != target => label.push_str(&format!(" on {target} {alias}")),
        (Some(target), _) | (None, Some(target)) => label.push_str(&format!(" on {target}")),
        (None, None) => {}
    }
    label
}

fn what(node: &Node) -> String {
    let name = node.kind.name();
    let join_type = node.join_type.as_deref().filter(|join_type| *join_type != "Inner");
    match (&node.kind, &node.operation, join_type) {
        (Kind::NestedLoop, _, Some(join_type)) => format!("Nested Loop {join_type} Join"),
        (Kind::HashJoin | Kind::MergeJoin, _, Some(join_type)) => {
            name.replace("Join", &format!("{join_type} Join"))
        }
        (Kind::ModifyTable, Some(operation), _) => operation.clone(),
        (Kind::SetOp, Some(operation), _) => format!("SetOp {operation}"),
        (Kind::Aggregate, ..) => {
            let partial = node.partial_mode.as_ref().map(|mode| format!("{mode} ")).unwrap_or_default();
            let strategy = match node.strategy.as_deref() {
                Some("Sorted") => "Group",
                Some("Hashed") => "Hash",
                Some("Mixed") => "Mixed",
                _ => "",
            };
            format!("{partial}{strategy}Aggregate")
        }
        _ => name.to_owned(),
    }
}
