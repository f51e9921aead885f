//! The text and the JSON format of a plan are the same plan.

use std::fmt::Write as _;

use pgprime_advisor::plan::{Node, Plan, Trigger};

use super::cases::{self, Case};

/// Both are executions of their own, so what differs from one to the next is left out: times, where blocks were found,
/// how often workers came, and how much memory was used.
fn outline(plan: &Plan) -> String {
    let mut lines = String::new();
    write(&plan.root, 0, &mut lines);
    writeln!(lines, "settings {:?}", plan.settings).unwrap();
    let name = |trigger: &Trigger| trigger.constraint.clone().unwrap_or_else(|| trigger.name.clone());
    let names: Vec<_> = plan.triggers.iter().map(|trigger| (name(trigger), trigger.calls)).collect();
    writeln!(lines, "triggers {names:?}").unwrap();
    writeln!(lines, "jit {:?}", plan.jit.map(|jit| jit.functions)).unwrap();
    let known = [plan.planning_ms, plan.execution_ms].map(|ms| ms.is_some());
    writeln!(lines, "times {known:?} query {:?}", plan.query_id).unwrap();
    let output = plan.serialization.as_ref().map(|found| (found.output_kib, &found.format));
    writeln!(lines, "serialization {output:?}").unwrap();
    lines
}

fn write(node: &Node, depth: usize, lines: &mut String) {
    let names = [&node.schema, &node.relation, &node.alias, &node.index, &node.cte, &node.function];
    let shape = [&node.strategy, &node.partial_mode, &node.operation, &node.join_type, &node.subplan_name];
    let flags = [node.is_parallel_aware, node.is_async_capable, node.is_disabled, node.is_backward];
    let keys =
        [&node.sort_keys, &node.presorted_keys, &node.group_keys, &node.output].map(|keys| keys.join(", "));
    let is_alone = node.figures.processes <= 1.0;
    let actual = node.actual.map(|actual| actual.total_ms.is_some());
    let rows = node.actual.filter(|_| is_alone).map(|actual| (actual.rows, actual.loops));
    let method = node.sort.as_ref().map(|sort| (&sort.method, sort.space_type));
    let batches = node.hash.as_ref().filter(|hash| is_alone && hash.batches == 1);
    let blocks =
        node.buffers.filter(|_| is_alone && node.wal.is_none()).map_or(0, |buffers| buffers.accessed());
    writeln!(
        lines,
        "{:depth$}{} {:?} {:?}{shape:?} {names:?} {flags:?}\n{:depth$} {:?} {actual:?} {rows:?}\n{:depth$} {keys:?} {:?} \
         {:?}\n{:depth$} {:?} {:?} {method:?} {batches:?} {:?} {:?} {:?} {:?} {blocks} {:?} {:?}",
        "", node.kind.name(), node.id, node.relationship, "", node.estimate, "", node.conditions, node.cache_key, "", node.rows_removed,
        node.heap_fetches, node.cache, node.heap_blocks, node.workers_planned, node.workers_launched, node.wal, node.storage,
    )
    .unwrap();
    node.children.iter().for_each(|child| write(child, depth + 1, lines));
}

/// What differs between the two formats of a case.
fn differences(case: &Case, version: u32) -> Vec<String> {
    let read = |extension| {
        let plan = Plan::parse(&case.plan_text(version, extension));
        plan.map(|plan| outline(&plan)).unwrap_or_else(|error| format!("{extension}: {error}"))
    };
    let (json, text) = (read("json"), read("txt"));
    let name = &case.name;
    let lines = json.lines().zip(text.lines()).filter(|(json, text)| json != text);
    let mut found: Vec<_> =
        lines.map(|(json, text)| format!("{name} {version}\n  {json}\n  {text}")).collect();
    if json.lines().count() != text.lines().count() {
        found.push(format!("{name} {version}: {} and {} lines", json.lines().count(), text.lines().count()));
    }
    found
}

#[test]
fn text_and_json_are_the_same_tree() {
    let found: Vec<String> = cases::kept().flat_map(|(case, version)| differences(&case, version)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
