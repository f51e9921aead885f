//! Reasons of a plan by name.

use pgprime_capacity::Plan;

/// Why a number of the plan is what it is, as a sentence. Empty where the plan does not say.
pub(crate) fn reason(plan: &Plan, name: &str) -> String {
    plan.reasons
        .iter()
        .find(|reason| reason.name == name)
        .map_or_else(String::new, |reason| sentence(&reason.text))
}

/// A text with a capital letter and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return String::new() };
    // The name of a setting stays as it is.
    let is_name = text.split_whitespace().next().is_some_and(|word| word.contains('_'));
    let first = if is_name { first.to_string() } else { first.to_uppercase().to_string() };
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        assert_eq!(sentence("20 of 25 are busy"), "20 of 25 are busy.");
        assert_eq!(sentence(" the budget. "), "The budget.");
        assert_eq!(sentence("max_connections 100"), "max_connections 100.");
        assert_eq!(sentence("it"), "It.");
        assert_eq!(sentence(""), "");
    }
}
