//! A plan as EXPLAIN printed it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::Figures;
use super::kind::Kind;
use super::measures::{Buffers, IoTiming, Wal};

/// A node's place in the plan, counted from 0 in the order in which the nodes are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct NodeId(pub usize);

/// What EXPLAIN printed about one statement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The topmost node.
    pub root: Node,
    /// Time the planner took, in milliseconds.
    pub planning_ms: Option<f64>,
    /// Blocks the planner read.
    pub planning_buffers: Option<Buffers>,
    /// Memory the planner used, in KiB (17 and later, with MEMORY).
    pub planning_memory_kib: Option<u64>,
    /// Time of the execution with triggers and start-up, in milliseconds; from the log, that of the statement.
    pub execution_ms: Option<f64>,
    /// Triggers that fired.
    pub triggers: Vec<Trigger>,
    /// What just-in-time compilation did.
    pub jit: Option<Jit>,
    /// What making the rows ready to be sent cost (17 and later, with SERIALIZE).
    pub serialization: Option<Serialization>,
    /// Settings that are not the default (with SETTINGS).
    pub settings: BTreeMap<String, String>,
    /// The number by which pg_stat_statements knows the statement (with VERBOSE).
    pub query_id: Option<i64>,
    /// The statement, when the plan comes from auto_explain.
    pub query_text: Option<String>,
}

/// How a node serves the one above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relationship {
    /// The first or only input.
    Outer,
    /// The second input of a join, read for the rows of the first.
    Inner,
    /// One of many inputs.
    Member,
    /// The query inside a subquery scan.
    Subquery,
    /// Run once, before its result is needed first; common table expressions are such, too.
    InitPlan,
    /// Run for each row, or once into a hash table.
    SubPlan,
    /// One that this version does not know.
    Other,
}

/// What the planner expected of one execution of a node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Cost until the first row, in the planner's units.
    pub startup_cost: f64,
    /// Cost until the last row, in the planner's units.
    pub total_cost: f64,
    /// Rows handed out, of each process where several share the work.
    pub rows: f64,
    /// Bytes of a row handed out.
    pub width_bytes: u64,
}

/// What was measured: averages over loops.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Actual {
    /// Until the first row, in milliseconds; unknown without TIMING.
    pub startup_ms: Option<f64>,
    /// Until the last row, in milliseconds; unknown without TIMING.
    pub total_ms: Option<f64>,
    /// Rows handed out, per loop.
    pub rows: f64,
    /// How often the node ran, in all processes; 0: never.
    pub loops: f64,
}

impl Actual {
    /// Rows handed out in all loops.
    #[must_use]
    pub fn rows_total(&self) -> f64 {
        self.rows * self.loops
    }
}

/// Which condition of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "they are PostgreSQL's own words")]
pub enum ConditionKind {
    IndexCond,
    RecheckCond,
    TidCond,
    HashCond,
    MergeCond,
    JoinFilter,
    Filter,
    OneTimeFilter,
    RunCondition,
    OrderBy,
}

/// A condition, as PostgreSQL writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Where it applies.
    pub kind: ConditionKind,
    /// The expression.
    pub text: String,
}

/// Rows thrown away, per loop; 0 where none were or nothing is said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RowsRemoved {
    /// By the filter.
    pub filter: f64,
    /// By checking the rows of an inexact index entry or a lossy block again.
    pub index_recheck: f64,
    /// By a join's condition beyond the one it joins by.
    pub join_filter: f64,
}

/// Where something was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpaceType {
    /// Within work_mem.
    Memory,
    /// In temporary files.
    Disk,
}

/// How a sort went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sort {
    /// Such as `quicksort`, `top-N heapsort`, `external merge`.
    pub method: String,
    /// In KiB.
    pub space_kib: u64,
    /// Of what.
    pub space_type: SpaceType,
}

/// A hash table, of a join or an aggregate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hash {
    /// Buckets; those of an aggregate are not known.
    pub buckets: Option<u64>,
    /// Parts of which one at a time is in memory. 1: all of it was.
    pub batches: u64,
    /// Parts that were planned, where known and different.
    pub batches_planned: Option<u64>,
    /// Most memory used at a time, in KiB.
    pub memory_kib: u64,
    /// Written to temporary files, in KiB; for joins see the temporary blocks.
    pub disk_kib: Option<u64>,
}

/// How the cache of a Memoize node did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Cache {
    pub hits: u64,
    pub misses: u64,
    pub evictions: u64,
    /// Results too large for the cache.
    pub overflows: u64,
    pub memory_kib: u64,
}

/// Blocks of a table that a bitmap led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeapBlocks {
    /// With the rows known.
    pub exact: u64,
    /// Known by block only, because the bitmap would not have fit into work_mem.
    pub lossy: u64,
}

/// What one worker did at a node (with VERBOSE).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worker {
    /// Counted from 0.
    pub number: u64,
    /// Its part.
    pub actual: Option<Actual>,
    /// Its sort.
    pub sort: Option<Sort>,
    /// Its hash table.
    pub hash: Option<Hash>,
}

/// One node of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Its place.
    pub id: NodeId,
    /// What it does.
    pub kind: Kind,
    /// Of an aggregate or set operation: `Plain`, `Sorted`, `Hashed`, `Mixed`.
    pub strategy: Option<String>,
    /// Of an aggregate in a parallel plan: `Partial`, `Finalize`; `Simple` is left out.
    pub partial_mode: Option<String>,
    /// Of a change: `Insert`, `Update`, `Delete`, `Merge`; of a set operation: `Except`, …
    pub operation: Option<String>,
    /// Of a join: `Inner`, `Left`, `Right`, `Full`, `Semi`, `Anti`, …
    pub join_type: Option<String>,
    /// How it serves the node above; nothing for the root.
    pub relationship: Option<Relationship>,
    /// Such as `CTE x`, `InitPlan 1 (returns $0)`, `SubPlan 2`.
    pub subplan_name: Option<String>,
    /// Whether several processes share its work.
    pub is_parallel_aware: bool,
    /// Whether it is read while others are.
    pub is_async_capable: bool,
    /// Whether it was to be avoided, by a setting such as enable_seqscan (18 and later).
    pub is_disabled: bool,
    /// Of an index scan against the index's order.
    pub is_backward: bool,
    /// Schema of the relation (with VERBOSE).
    pub schema: Option<String>,
    /// The table.
    pub relation: Option<String>,
    /// Its name in the statement.
    pub alias: Option<String>,
    /// The index.
    pub index: Option<String>,
    /// The common table expression that is read.
    pub cte: Option<String>,
    /// The function that is read from.
    pub function: Option<String>,
    /// What was expected; nothing with COSTS off.
    pub estimate: Option<Estimate>,
    /// What was measured; nothing without ANALYZE.
    pub actual: Option<Actual>,
    /// Workers that the plan wanted.
    pub workers_planned: Option<u64>,
    /// Workers that there were.
    pub workers_launched: Option<u64>,
    /// Its conditions, in the order printed.
    pub conditions: Vec<Condition>,
    /// What it sorts by.
    pub sort_keys: Vec<String>,
    /// What its input is sorted by already.
    pub presorted_keys: Vec<String>,
    /// What it groups by.
    pub group_keys: Vec<String>,
    /// What its cache is looked up by.
    pub cache_key: Option<String>,
    /// What it hands out (with VERBOSE).
    pub output: Vec<String>,
    /// What it threw away.
    pub rows_removed: RowsRemoved,
    /// Rows of an index-only scan whose visibility only the table knew, over all loops.
    pub heap_fetches: Option<f64>,
    /// Descents into the index, over all loops (18 and later).
    pub index_searches: Option<f64>,
    /// Blocks that a bitmap led to.
    pub heap_blocks: Option<HeapBlocks>,
    /// Its sort.
    pub sort: Option<Sort>,
    /// Its hash table.
    pub hash: Option<Hash>,
    /// Its cache.
    pub cache: Option<Cache>,
    /// Where its rows were kept (17 and later).
    pub storage: Option<SpaceType>,
    /// Blocks, with those of the nodes below.
    pub buffers: Option<Buffers>,
    /// Time for blocks, with that of the nodes below.
    pub io: Option<IoTiming>,
    /// Log made, with that of the nodes below.
    pub wal: Option<Wal>,
    /// What each worker did.
    pub workers: Vec<Worker>,
    /// What else was printed, by name.
    pub other: BTreeMap<String, String>,
    /// Derived: see [`Figures`].
    pub figures: Figures,
    /// The nodes below.
    pub children: Vec<Node>,
}

impl Node {
    /// A node of this kind of which nothing else is known.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            id: NodeId::default(),
            kind,
            strategy: None,
            partial_mode: None,
            operation: None,
            join_type: None,
            relationship: None,
            subplan_name: None,
            is_parallel_aware: false,
            is_async_capable: false,
            is_disabled: false,
            is_backward: false,
            schema: None,
            relation: None,
            alias: None,
            index: None,
            cte: None,
            function: None,
            estimate: None,
            actual: None,
            workers_planned: None,
            workers_launched: None,
            conditions: Vec::new(),
            sort_keys: Vec::new(),
            presorted_keys: Vec::new(),
            group_keys: Vec::new(),
            cache_key: None,
            output: Vec::new(),
            rows_removed: RowsRemoved::default(),
            heap_fetches: None,
            index_searches: None,
            heap_blocks: None,
            sort: None,
            hash: None,
            cache: None,
            storage: None,
            buffers: None,
            io: None,
            wal: None,
            workers: Vec::new(),
            other: BTreeMap::new(),
            figures: Figures::default(),
            children: Vec::new(),
        }
    }

    /// The condition of this kind.
    #[must_use]
    pub fn condition(&self, kind: ConditionKind) -> Option<&str> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == kind)
            .map(|condition| condition.text.as_str())
    }

    /// Whether it was measured and never ran.
    #[must_use]
    pub fn is_never_executed(&self) -> bool {
        self.actual.is_some_and(|actual| actual.loops == 0.0)
    }

    /// What was measured, if it ran at all.
    #[must_use]
    pub fn executed(&self) -> Option<&Actual> {
        self.actual.as_ref().filter(|actual| actual.loops > 0.0)
    }

    /// The inputs: children that are no InitPlan, common table expression or SubPlan.
    pub fn inputs(&self) -> impl Iterator<Item = &Node> {
        self.children.iter().filter(|child| !child.is_aside())
    }

    /// The first or only input.
    #[must_use]
    pub fn outer(&self) -> Option<&Node> {
        self.inputs().next()
    }

    /// The second input of a join.
    #[must_use]
    pub fn inner(&self) -> Option<&Node> {
        self.inputs().nth(1)
    }

    /// Whether it is no input of the node above, but stands beside: InitPlan, common table expression, SubPlan.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        matches!(self.relationship, Some(Relationship::InitPlan | Relationship::SubPlan))
    }
}

/// A trigger that fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// The constraint it serves.
    pub constraint: Option<String>,
    /// The table.
    pub relation: Option<String>,
    /// In milliseconds, over all calls.
    pub time_ms: Option<f64>,
    /// How often it fired.
    pub calls: f64,
}

/// What just-in-time compilation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "they are PostgreSQL's own words")]
pub struct Jit {
    pub functions: u64,
    pub generation_ms: f64,
    pub inlining_ms: f64,
    pub optimization_ms: f64,
    pub emission_ms: f64,
    pub total_ms: f64,
}

/// What making the rows ready to be sent cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Serialization {
    /// In milliseconds; unknown without TIMING.
    pub time_ms: Option<f64>,
    /// In KiB.
    pub output_kib: u64,
    /// `text` or `binary`.
    pub format: Option<String>,
}
