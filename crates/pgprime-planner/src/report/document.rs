//! The report as one JSON document.

use pgprime_capacity::postgres::{Comparison, Machine};
use pgprime_capacity::{CurvePoint, Plan};
use serde::Serialize;

/// The plan's keys at the top, and beside them what else was found out.
#[derive(Clone, Debug, Serialize)]
pub struct Document<'a, O: Serialize> {
    /// The sizes, as keys of the document itself.
    #[serde(flatten)]
    pub plan: &'a Plan,
    /// What each number of connections would mean.
    pub curve: &'a [CurvePoint],
    /// PostgreSQL's settings beside the live ones; empty where the machine is not known.
    pub settings: &'a [Comparison],
    /// The machine that they are for.
    pub machine: Option<Machine>,
    /// What was assumed, a sentence each.
    pub assumptions: &'a [String],
    /// What the live database said; `null` where none was asked.
    pub observed: Option<O>,
    /// The paths of the files written.
    pub files: Vec<String>,
}
