//! What a node does.

use serde::{Serialize, Serializer};

/// What a node does, named as in EXPLAIN's JSON format.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are PostgreSQL's own words")]
pub enum Kind {
    Result,
    ProjectSet,
    ModifyTable,
    Append,
    MergeAppend,
    RecursiveUnion,
    BitmapAnd,
    BitmapOr,
    NestedLoop,
    MergeJoin,
    HashJoin,
    SeqScan,
    SampleScan,
    Gather,
    GatherMerge,
    IndexScan,
    IndexOnlyScan,
    BitmapIndexScan,
    BitmapHeapScan,
    TidScan,
    TidRangeScan,
    SubqueryScan,
    FunctionScan,
    TableFunctionScan,
    ValuesScan,
    CteScan,
    NamedTuplestoreScan,
    WorkTableScan,
    ForeignScan,
    CustomScan,
    Materialize,
    Memoize,
    Sort,
    IncrementalSort,
    Group,
    Aggregate,
    WindowAgg,
    Unique,
    SetOp,
    LockRows,
    Limit,
    Hash,
    /// One that this version does not know, by its name.
    Other(String),
}

use Kind::{
    Aggregate, Append, BitmapAnd, BitmapHeapScan, BitmapIndexScan, BitmapOr, CteScan, CustomScan,
    ForeignScan, FunctionScan, Gather, GatherMerge, Group, Hash, HashJoin, IncrementalSort, IndexOnlyScan,
    IndexScan, Limit, LockRows, Materialize, Memoize, MergeAppend, MergeJoin, ModifyTable,
    NamedTuplestoreScan, NestedLoop, ProjectSet, RecursiveUnion, Result, SampleScan, SeqScan, SetOp, Sort,
    SubqueryScan, TableFunctionScan, TidRangeScan, TidScan, Unique, ValuesScan, WindowAgg, WorkTableScan,
};

/// Names and kinds. In a text plan the longest name that fits wins, so order does not matter.
const NAMES: &[(&str, Kind)] = &[
    ("Result", Result),
    ("ProjectSet", ProjectSet),
    ("ModifyTable", ModifyTable),
    ("Append", Append),
    ("Merge Append", MergeAppend),
    ("Recursive Union", RecursiveUnion),
    ("BitmapAnd", BitmapAnd),
    ("BitmapOr", BitmapOr),
    ("Nested Loop", NestedLoop),
    ("Merge Join", MergeJoin),
    ("Hash Join", HashJoin),
    ("Seq Scan", SeqScan),
    ("Sample Scan", SampleScan),
    ("Gather", Gather),
    ("Gather Merge", GatherMerge),
    ("Index Scan", IndexScan),
    ("Index Only Scan", IndexOnlyScan),
    ("Bitmap Index Scan", BitmapIndexScan),
    ("Bitmap Heap Scan", BitmapHeapScan),
    ("Tid Scan", TidScan),
    ("Tid Range Scan", TidRangeScan),
    ("Subquery Scan", SubqueryScan),
    ("Function Scan", FunctionScan),
    ("Table Function Scan", TableFunctionScan),
    ("Values Scan", ValuesScan),
    ("CTE Scan", CteScan),
    ("Named Tuplestore Scan", NamedTuplestoreScan),
    ("WorkTable Scan", WorkTableScan),
    ("Foreign Scan", ForeignScan),
    ("Custom Scan", CustomScan),
    ("Materialize", Materialize),
    ("Memoize", Memoize),
    ("Sort", Sort),
    ("Incremental Sort", IncrementalSort),
    ("Group", Group),
    ("Aggregate", Aggregate),
    ("WindowAgg", WindowAgg),
    ("Unique", Unique),
    ("SetOp", SetOp),
    ("LockRows", LockRows),
    ("Limit", Limit),
    ("Hash", Hash),
];

impl Kind {
    /// The kind with this name in EXPLAIN's JSON format.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map_or_else(|| Self::Other(name.to_owned()), |(_, kind)| kind.clone())
    }

    /// The name in EXPLAIN's JSON format.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            kind => NAMES.iter().find(|(_, known)| known == kind).map_or("", |(name, _)| name),
        }
    }

    /// The longest known name that `text` begins with.
    pub(super) fn prefix_of(text: &str) -> Option<&'static str> {
        let is_prefix = |name: &&str| text.strip_prefix(*name).is_some_and(is_end);
        NAMES.iter().map(|(name, _)| *name).filter(is_prefix).max_by_key(|name| name.len())
    }

    /// Whether it combines two inputs by a condition.
    #[must_use]
    pub fn is_join(&self) -> bool {
        matches!(self, NestedLoop | MergeJoin | HashJoin)
    }

    /// Whether it starts processes and gathers their rows.
    #[must_use]
    pub fn is_gather(&self) -> bool {
        matches!(self, Gather | GatherMerge)
    }

    /// Whether it reads through an index and comes back with rows.
    #[must_use]
    pub fn is_index_scan(&self) -> bool {
        matches!(self, IndexScan | IndexOnlyScan)
    }

    /// Whether it reads rows of a table.
    #[must_use]
    pub fn is_table_scan(&self) -> bool {
        matches!(
            self,
            SeqScan | SampleScan | IndexScan | IndexOnlyScan | BitmapHeapScan | TidScan | TidRangeScan
        )
    }

    /// Whether it hands out nothing before it has read all of its input.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        matches!(self, Sort | Hash | BitmapHeapScan)
    }
}

/// Whether a name may end before `rest`.
fn is_end(rest: &str) -> bool {
    rest.chars().next().is_none_or(|next| !next.is_alphanumeric())
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
