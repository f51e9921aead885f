//! What is wrong with an input, in a sentence that helps.

use thiserror::Error;

/// An input that no plan can be made from. Reads as "`input`: what is wrong, and what to give instead".
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{input}: {problem}")]
pub struct InputError {
    /// The input, by the name of its flag without dashes: `safety-margin`.
    pub input: &'static str,
    /// What is wrong with it.
    pub problem: InputProblem,
}

impl InputError {
    pub(crate) fn new(input: &'static str, problem: InputProblem) -> Self {
        InputError { input, problem }
    }
}

/// What is wrong with an input.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum InputProblem {
    /// NaN or infinite.
    #[error("{value} is not a finite number; give a plain decimal number, such as 20 or 0.8")]
    NotFinite {
        /// What was given.
        value: f64,
    },
    /// Zero or negative where only a positive number means something.
    #[error("{value} is not above 0; {hint}")]
    NotPositive {
        /// What was given.
        value: f64,
        /// What to give.
        hint: &'static str,
    },
    /// Negative where zero is the least.
    #[error("{value} is negative; {hint}")]
    Negative {
        /// What was given.
        value: f64,
        /// What to give.
        hint: &'static str,
    },
    /// So large that it is a slip of the unit, or beyond what PostgreSQL can be set to.
    #[error("{value} is more than the {max} that can be planned for; check the unit")]
    TooLarge {
        /// What was given.
        value: f64,
        /// The largest accepted.
        max: f64,
    },
    /// A fraction outside (0, 1].
    #[error(
        "{value} is not above 0 and at most 1; give a fraction such as 0.8 to use 80 % of max_connections"
    )]
    NotAFraction {
        /// What was given.
        value: f64,
    },
    /// The peak is below the expected load.
    #[error(
        "the peak of {peak} requests/s is below the expected {expected}; give at least {expected}, or no peak"
    )]
    PeakBelowExpected {
        /// Requests per second at the peak, as given.
        peak: f64,
        /// Requests per second expected, as given.
        expected: f64,
    },
    /// The 95th percentile is below the mean.
    #[error(
        "a p95 of {p95_ms} ms is below the mean of {mean_ms} ms, which only a few extremely slow requests can \
         cause; check that both are in ms and of the same queries"
    )]
    P95BelowMean {
        /// The 95th percentile in ms, as given.
        p95_ms: f64,
        /// The mean in ms, as given.
        mean_ms: f64,
    },
    /// No lognormal distribution has a 95th percentile this far above its mean.
    #[error(
        "a p95 of {p95_ms} ms is more than {ratio_max:.2} times the mean of {mean_ms} ms, which no lognormal \
         distribution has; plan the slow queries apart"
    )]
    P95TooFarAboveMean {
        /// The 95th percentile in ms, as given.
        p95_ms: f64,
        /// The mean in ms, as given.
        mean_ms: f64,
        /// The largest ratio of the two that a lognormal distribution has.
        ratio_max: f64,
    },
    /// The reserved connections leave nothing.
    #[error(
        "{reserved} of {max_connections} connections are reserved, so none is left for the service; reserve fewer \
         or raise max_connections"
    )]
    NothingLeft {
        /// Reserved connections, as given.
        reserved: u32,
        /// `max_connections` of the database, as given.
        max_connections: u32,
    },
    /// Margin and maximum together leave less than one connection.
    #[error(
        "{safety_margin} of {max_connections} connections is less than one; give a larger fraction or raise \
         max_connections"
    )]
    BudgetBelowOne {
        /// The margin, as given.
        safety_margin: f64,
        /// `max_connections` of the database, as given.
        max_connections: u32,
    },
    /// The fractions for main, read and admin do not add up to 1.
    #[error(
        "the shares of main, read and admin add up to {sum}; they must add up to 1, as 0.7, 0.2 and 0.1 do"
    )]
    SharesDoNotAddUp {
        /// Their sum.
        sum: f64,
    },
    /// Load and service time together keep more connections busy than any database has.
    #[error(
        "{requests_per_s} requests/s of {service_ms} ms each keep {demand:.0} connections busy at once, more than \
         the {max} that can be planned for; check the units (requests per second, milliseconds)"
    )]
    DemandTooLarge {
        /// Requests per second at the peak.
        requests_per_s: f64,
        /// Mean service time in ms.
        service_ms: f64,
        /// Connections busy at once.
        demand: f64,
        /// The largest demand accepted.
        max: f64,
    },
}

pub(crate) fn positive(input: &'static str, value: f64, hint: &'static str) -> Result<(), InputError> {
    finite(input, value)?;
    let problem = InputProblem::NotPositive { value, hint };
    if value > 0.0 { Ok(()) } else { Err(InputError::new(input, problem)) }
}

pub(crate) fn not_negative(input: &'static str, value: f64, hint: &'static str) -> Result<(), InputError> {
    finite(input, value)?;
    let problem = InputProblem::Negative { value, hint };
    if value >= 0.0 { Ok(()) } else { Err(InputError::new(input, problem)) }
}

pub(crate) fn at_most(input: &'static str, value: f64, max: f64) -> Result<(), InputError> {
    if value <= max { Ok(()) } else { Err(InputError::new(input, InputProblem::TooLarge { value, max })) }
}

fn finite(input: &'static str, value: f64) -> Result<(), InputError> {
    if value.is_finite() { Ok(()) } else { Err(InputError::new(input, InputProblem::NotFinite { value })) }
}
