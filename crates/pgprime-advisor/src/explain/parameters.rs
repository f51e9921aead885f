//! Values of parameters, and where they are from.

use serde::Serialize;

/// The parameters that a plan was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// Where the values are from.
    pub source: ParameterSource,
    /// One for each parameter, in order; empty for a generic plan.
    pub values: Vec<ParameterValue>,
}

/// Where the values of parameters are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterSource {
    /// There are no parameters.
    #[default]
    None,
    /// They were given.
    Given,
    /// Captured of an execution.
    Captured,
    /// Samples of what the columns hold.
    Sampled,
    /// No values: the plan for any.
    Generic,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParameterValue {
    /// Its number, from 1.
    pub number: usize,
    /// Its type, as the server found it.
    pub type_name: String,
    /// The value as PostgreSQL writes it; None for NULL.
    pub value: Option<String>,
    /// Where it is from, in words.
    pub origin: String,
}
