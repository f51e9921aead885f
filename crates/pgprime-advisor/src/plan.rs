//! Plans: reading what EXPLAIN printed, naming the problems in it, and showing it to people.
//!
//! [`Plan::parse`] reads the JSON and the text format of PostgreSQL 13 to 18 as people paste them. Every [`Node`] then
//! carries [`Figures`]: its time, cost and buffers over all loops, without its children, and its share of the whole.
//! [`find_problems`] goes through the [`RULES`], and [`render`] writes a tree of at most [`COLUMNS_MAX`] columns.
//!
//! Nothing here talks to a database, and no input makes it panic: sizes are bounded by [`limits`].

mod condition;
mod decode;
mod derive;
mod error;
mod figures;
mod finding;
mod format;
mod json;
mod kind;
mod label;
pub mod limits;
mod measures;
mod model;
mod parse;
mod render;
mod rules;
mod text;
mod walk;

pub use error::PlanError;
pub use figures::{Direction, EstimateError, Figures};
pub use finding::{Evidence, Finding, Severity, Unit};
pub use kind::Kind;
pub use measures::{Buffers, IoTiming, Wal};
pub use model::{
    Actual, Cache, Condition, ConditionKind, Estimate, Hash, HeapBlocks, Jit, Node, NodeId, Plan,
    Relationship, RowsRemoved, Serialization, Sort, SpaceType, Trigger, Worker,
};
pub use render::{COLUMNS_MAX, render, render_tree};
pub use rules::{RULES, Rule, find_problems};

use serde::Serialize;

/// A plan and the problems found in it.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// The plan, with derived figures at each node.
    pub plan: Plan,
    /// Its problems, the gravest first.
    pub findings: Vec<Finding>,
}

impl PlanReport {
    /// Reads a plan in any format and judges it.
    ///
    /// # Errors
    /// Those of [`Plan::parse`].
    pub fn of(text: &str) -> Result<Self, PlanError> {
        let plan = Plan::parse(text)?;
        let findings = find_problems(&plan);
        Ok(Self { plan, findings })
    }
}
