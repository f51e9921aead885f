//! One node and those below it.

use serde_json::{Map, Value};

use super::fields::{Fields, Path, object, plain};
use crate::plan::error::PlanError;
use crate::plan::kind::Kind;
use crate::plan::limits::{NODE_DEPTH_MAX, NODES_MAX};
use crate::plan::measures::{IoTiming, Wal};
use crate::plan::model::{
    Actual, Cache, Condition, ConditionKind, Estimate, Hash, HeapBlocks, Node, Relationship, Sort, SpaceType,
    Worker,
};

/// What has been read so far.
#[derive(Default)]
pub(super) struct Count {
    nodes: usize,
    depth: usize,
}

pub(super) fn decode(value: &Value, path: &Path<'_>, count: &mut Count) -> Result<Node, PlanError> {
    decode_map(object(value, path)?, path, count)
}

pub(super) fn decode_map(
    map: &Map<String, Value>,
    path: &Path<'_>,
    count: &mut Count,
) -> Result<Node, PlanError> {
    count.nodes += 1;
    if count.nodes > NODES_MAX {
        return Err(PlanError::TooManyNodes);
    }
    if count.depth >= NODE_DEPTH_MAX {
        // The bound on JSON's depth lets hardly a node more through; the line is not known here any more.
        return Err(PlanError::TooDeep { line: 1 });
    }
    let fields = Fields { map, path };
    fields.required("Node Type", "the name of a node")?;
    let mut node = Node::new(Kind::named(&fields.text("Node Type")?.unwrap_or_default()));
    names(&mut node, &fields)?;
    measured(&mut node, &fields)?;
    details(&mut node, &fields)?;
    for (name, value) in map.iter().filter(|(name, value)| !is_known(name) && !value.is_null()) {
        match condition_kind(name) {
            Some(kind) => node.conditions.push(Condition { kind, text: text_of(value) }),
            None => drop(node.other.insert(name.clone(), plain(value))),
        }
    }
    node.conditions.sort_by_key(|condition| condition.kind as u8);
    count.depth += 1;
    let list = path.field("Plans");
    for (index, value) in fields.array("Plans")?.iter().enumerate() {
        node.children.push(decode(value, &list.element(index), count)?);
    }
    count.depth -= 1;
    Ok(node)
}

fn names(node: &mut Node, fields: &Fields<'_>) -> Result<(), PlanError> {
    node.strategy = fields.text("Strategy")?;
    node.partial_mode = fields.text("Partial Mode")?.filter(|mode| mode != "Simple");
    node.operation = match fields.text("Operation")? {
        None => fields.text("Command")?,
        // A foreign scan that only reads says so; others do not.
        some => some.filter(|operation| operation != "Select"),
    };
    node.join_type = fields.text("Join Type")?;
    node.relationship = fields.text("Parent Relationship")?.map(|name| relationship(&name));
    node.subplan_name = fields.text("Subplan Name")?;
    node.is_parallel_aware = fields.flag("Parallel Aware")?;
    node.is_async_capable = fields.flag("Async Capable")?;
    node.is_disabled = fields.flag("Disabled")?;
    node.is_backward = fields.text("Scan Direction")?.is_some_and(|direction| direction == "Backward");
    node.schema = fields.text("Schema")?;
    node.relation = fields.text("Relation Name")?;
    node.alias = fields.text("Alias")?;
    node.index = fields.text("Index Name")?;
    node.cte = fields.text("CTE Name")?;
    node.function = fields.text("Function Name")?;
    node.sort_keys = fields.list("Sort Key")?;
    node.presorted_keys = fields.list("Presorted Key")?;
    node.group_keys = group_keys(fields)?;
    node.cache_key = fields.text("Cache Key")?;
    node.output = fields.list("Output")?;
    Ok(())
}

fn relationship(name: &str) -> Relationship {
    match name {
        "Outer" => Relationship::Outer,
        "Inner" => Relationship::Inner,
        "Member" => Relationship::Member,
        "Subquery" => Relationship::Subquery,
        "InitPlan" => Relationship::InitPlan,
        "SubPlan" => Relationship::SubPlan,
        _ => Relationship::Other,
    }
}

/// Keys of plain grouping, or of all grouping sets together.
fn group_keys(fields: &Fields<'_>) -> Result<Vec<String>, PlanError> {
    let mut keys = fields.list("Group Key")?;
    for set in fields.array("Grouping Sets")? {
        for (name, value) in set.as_object().into_iter().flatten() {
            let is_keys = matches!(name.as_str(), "Hash Keys" | "Group Keys");
            keys.extend(value.as_array().filter(|_| is_keys).into_iter().flatten().map(set_keys));
        }
    }
    Ok(keys)
}

fn set_keys(set: &Value) -> String {
    let keys: Vec<String> = set.as_array().into_iter().flatten().map(plain).collect();
    if keys.is_empty() { "()".to_owned() } else { keys.join(", ") }
}

fn measured(node: &mut Node, fields: &Fields<'_>) -> Result<(), PlanError> {
    let number = |name| fields.number(name).map(Option::unwrap_or_default);
    if fields.map.contains_key("Total Cost") {
        node.estimate = Some(Estimate {
            startup_cost: number("Startup Cost")?,
            total_cost: number("Total Cost")?,
            rows: number("Plan Rows")?,
            width_bytes: fields.count("Plan Width")?.unwrap_or_default(),
        });
    }
    node.actual = actual(fields)?;
    node.workers_planned = fields.count("Workers Planned")?;
    node.workers_launched = fields.count("Workers Launched")?;
    node.rows_removed.filter = number("Rows Removed by Filter")?;
    node.rows_removed.index_recheck = number("Rows Removed by Index Recheck")?;
    node.rows_removed.join_filter = number("Rows Removed by Join Filter")?;
    node.heap_fetches = fields.number("Heap Fetches")?;
    node.index_searches = fields.number("Index Searches")?;
    node.buffers = fields.buffers()?;
    node.io = io(fields)?;
    if fields.map.contains_key("WAL Records") {
        node.wal = Some(Wal {
            records: fields.count("WAL Records")?.unwrap_or_default(),
            full_page_images: fields.count("WAL FPI")?.unwrap_or_default(),
            bytes: fields.count("WAL Bytes")?.unwrap_or_default(),
        })
        .filter(|wal| *wal != Wal::default());
    }
    Ok(())
}

fn actual(fields: &Fields<'_>) -> Result<Option<Actual>, PlanError> {
    let Some(loops) = fields.number("Actual Loops")? else { return Ok(None) };
    Ok(Some(Actual {
        startup_ms: fields.number("Actual Startup Time")?,
        total_ms: fields.number("Actual Total Time")?,
        rows: fields.number("Actual Rows")?.unwrap_or_default(),
        loops,
    }))
}

/// Before 17 shared and local blocks were one; they are added up here.
fn io(fields: &Fields<'_>) -> Result<Option<IoTiming>, PlanError> {
    let mut sums = [None; 4];
    let names = [
        (0, "I/O Read Time"),
        (0, "Shared I/O Read Time"),
        (0, "Local I/O Read Time"),
        (1, "I/O Write Time"),
        (1, "Shared I/O Write Time"),
        (1, "Local I/O Write Time"),
        (2, "Temp I/O Read Time"),
        (3, "Temp I/O Write Time"),
    ];
    for (slot, name) in names {
        if let Some(ms) = fields.number(name)? {
            *sums[slot].get_or_insert(0.0) += ms;
        }
    }
    let [read_ms, write_ms, temp_read_ms, temp_write_ms] = sums.map(Option::unwrap_or_default);
    let is_known = sums.iter().any(Option::is_some);
    Ok(is_known.then_some(IoTiming { read_ms, write_ms, temp_read_ms, temp_write_ms }))
}

fn details(node: &mut Node, fields: &Fields<'_>) -> Result<(), PlanError> {
    let count = |name| fields.count(name).map(Option::unwrap_or_default);
    node.sort = sort(fields)?;
    node.hash = hash(fields)?;
    node.storage = fields.text("Storage")?.map(|name| space_type(&name));
    if fields.map.contains_key("Cache Hits") {
        node.cache = Some(Cache {
            hits: count("Cache Hits")?,
            misses: count("Cache Misses")?,
            evictions: count("Cache Evictions")?,
            overflows: count("Cache Overflows")?,
            memory_kib: count("Peak Memory Usage")?,
        });
    }
    if fields.map.contains_key("Exact Heap Blocks") || fields.map.contains_key("Lossy Heap Blocks") {
        node.heap_blocks =
            Some(HeapBlocks { exact: count("Exact Heap Blocks")?, lossy: count("Lossy Heap Blocks")? })
                .filter(|blocks| *blocks != HeapBlocks::default());
    }
    let list = fields.path.field("Workers");
    for (index, value) in fields.array("Workers")?.iter().enumerate() {
        let path = list.element(index);
        let fields = Fields { map: object(value, &path)?, path: &path };
        node.workers.push(Worker {
            number: fields.count("Worker Number")?.unwrap_or_default(),
            actual: actual(&fields)?,
            sort: sort(&fields)?,
            hash: hash(&fields)?,
        });
    }
    Ok(())
}

fn sort(fields: &Fields<'_>) -> Result<Option<Sort>, PlanError> {
    let Some(method) = fields.text("Sort Method")? else { return Ok(None) };
    Ok(Some(Sort {
        method,
        space_kib: fields.count("Sort Space Used")?.unwrap_or_default(),
        space_type: space_type(&fields.text("Sort Space Type")?.unwrap_or_default()),
    }))
}

fn space_type(name: &str) -> SpaceType {
    if name == "Disk" { SpaceType::Disk } else { SpaceType::Memory }
}

fn hash(fields: &Fields<'_>) -> Result<Option<Hash>, PlanError> {
    let batches = match fields.count("Hash Batches")? {
        None => fields.count("HashAgg Batches")?,
        some => some,
    };
    let Some(batches) = batches else { return Ok(None) };
    Ok(Some(Hash {
        buckets: fields.count("Hash Buckets")?,
        batches,
        batches_planned: match fields.count("Original Hash Batches")? {
            None => fields.count("Planned Partitions")?.filter(|planned| *planned > 0),
            some => some.filter(|planned| *planned != batches),
        },
        memory_kib: fields.count("Peak Memory Usage")?.unwrap_or_default(),
        disk_kib: fields.count("Disk Usage")?.filter(|disk| *disk > 0),
    }))
}

fn condition_kind(name: &str) -> Option<ConditionKind> {
    Some(match name {
        "Index Cond" => ConditionKind::IndexCond,
        "Recheck Cond" => ConditionKind::RecheckCond,
        "TID Cond" => ConditionKind::TidCond,
        "Hash Cond" => ConditionKind::HashCond,
        "Merge Cond" => ConditionKind::MergeCond,
        "Join Filter" => ConditionKind::JoinFilter,
        "Filter" => ConditionKind::Filter,
        "One-Time Filter" => ConditionKind::OneTimeFilter,
        "Run Condition" => ConditionKind::RunCondition,
        "Order By" => ConditionKind::OrderBy,
        _ => return None,
    })
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Array(parts) => parts.iter().map(plain).collect::<Vec<_>>().join(" AND "),
        other => plain(other),
    }
}

/// Fields that went into the node's own; all others are kept by name.
const KNOWN: &[&str] = &[
    "Node Type",
    "Strategy",
    "Partial Mode",
    "Operation",
    "Command",
    "Join Type",
    "Parent Relationship",
    "Subplan Name",
    "Parallel Aware",
    "Async Capable",
    "Disabled",
    "Scan Direction",
    "Schema",
    "Relation Name",
    "Alias",
    "Index Name",
    "CTE Name",
    "Function Name",
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Grouping Sets",
    "Cache Key",
    "Output",
    "Startup Cost",
    "Total Cost",
    "Plan Rows",
    "Plan Width",
    "Actual Loops",
    "Actual Startup Time",
    "Actual Total Time",
    "Actual Rows",
    "Workers Planned",
    "Workers Launched",
    "Workers",
    "Plans",
    "Heap Fetches",
    "Index Searches",
    "Sort Method",
    "Sort Space Used",
    "Sort Space Type",
    "Hash Buckets",
    "Original Hash Buckets",
    "Hash Batches",
    "Original Hash Batches",
    "HashAgg Batches",
    "Planned Partitions",
    "Peak Memory Usage",
    "Disk Usage",
    "Storage",
    "Cache Hits",
    "Cache Misses",
    "Cache Evictions",
    "Cache Overflows",
    "Rows Removed by Filter",
    "Rows Removed by Index Recheck",
    "Rows Removed by Join Filter",
];

/// Beginnings and ends of such fields.
const KNOWN_ENDS: &[&str] = &[" Blocks", "I/O Read Time", "I/O Write Time"];
const KNOWN_STARTS: &[&str] = &["WAL ", "Actual "];

fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
        || KNOWN_ENDS.iter().any(|end| name.ends_with(end))
        || KNOWN_STARTS.iter().any(|start| name.starts_with(start))
}
