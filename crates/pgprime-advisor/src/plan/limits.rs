//! How much of a plan is read: what is larger is no plan a person can use, and may be hostile.

/// Bytes of the text given.
pub const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Nodes of a plan. Ten thousand partitions are the most that PostgreSQL's manual thinks of.
pub const NODES_MAX: usize = 20_000;
/// Nodes above each other. A statement that joins this many tables one by one is beyond the planner anyway.
pub const NODE_DEPTH_MAX: usize = 120;
/// Brackets and braces above each other in JSON: two for each node, and some for what is around and inside.
pub const JSON_DEPTH_MAX: usize = 2 * NODE_DEPTH_MAX + 12;
/// Parentheses above each other in a condition that is looked into; deeper ones are left alone.
pub const CONDITION_DEPTH_MAX: usize = 40;
/// Bytes of a condition that is looked into: a list of a million constants says no more than its beginning.
pub const CONDITION_BYTES_MAX: usize = 16 * 1024;
/// Lines that a value in a text plan, such as a string with line ends, or the statement may go over.
pub const VALUE_LINES_MAX: usize = 10_000;
