//! What the optimizer has found in the load of a demo.

use pgprime_advisor::indexes::Advice;
use pgprime_advisor::slow::SlowReport;
use pgprime_advisor::space::Finding;
use serde::Serialize;

/// What was found; a part that could not be looked at is left out, and `not_seen` says why.
#[derive(Default, Serialize)]
pub(super) struct Found {
    /// The statements that took longest during the load.
    pub(super) slow: Option<SlowReport>,
    /// The indexes that the load lacks.
    pub(super) advice: Option<Advice>,
    /// Which of them the data lacks on purpose.
    pub(super) planted: Vec<Planted>,
    /// What takes space for nothing.
    pub(super) space: Vec<Finding>,
    /// What could not be looked at, and why.
    pub(super) not_seen: Vec<String>,
}

/// An index that the data lacks on purpose.
#[derive(Serialize)]
pub(super) struct Planted {
    /// The statement that suffers.
    pub(super) name: &'static str,
    /// The suggestion that serves it.
    pub(super) suggestion: Option<String>,
}
