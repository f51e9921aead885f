//! Which values a statement's parameters get.

use super::literal::literal;
use super::parameters::{ParameterSource, ParameterValue, Parameters};

/// Values that were given or captured, with the types that the server found.
pub(super) fn from(source: ParameterSource, values: &[Option<String>], types: &[String]) -> Parameters {
    let origin = if source == ParameterSource::Given { "given" } else { "captured of an execution" };
    let value = |(index, (value, type_name)): (usize, (&Option<String>, &String))| ParameterValue {
        number: index + 1,
        type_name: type_name.clone(),
        value: value.clone(),
        origin: origin.to_owned(),
    };
    Parameters { source, values: values.iter().zip(types).enumerate().map(value).collect() }
}

/// The values as arguments of EXECUTE, with their brackets; the server reads each as the type of its parameter.
pub(super) fn arguments(parameters: &Parameters) -> String {
    let literals: Vec<String> =
        parameters.values.iter().map(|value| literal(value.value.as_deref())).collect();
    format!("({})", literals.join(", "))
}

/// As many NULLs, for a plan that does not look at them.
pub(super) fn nulls(count: usize) -> String {
    format!("({})", vec!["NULL"; count].join(", "))
}
