//! What goes with a plan, for people.

use std::fmt::Write as _;

use super::parameters::ParameterSource;
use super::request::Explained;

/// The widest line.
const COLUMNS_MAX: usize = 100;

/// Where the parameters' values are from, the notes and what is missing, each on lines of its own of at most 100 columns,
/// unless a word is longer; nothing when there is nothing to say.
#[must_use]
pub fn text(explained: &Explained) -> String {
    let mut text = String::new();
    if explained.parameters.source == ParameterSource::Generic {
        add(&mut text, "Parameters: ", "no values: this is the plan for any values (the generic plan).");
    }
    for value in &explained.parameters.values {
        let shown = value.value.as_deref().map_or_else(|| "NULL".to_owned(), |value| format!("'{value}'"));
        let head = format!("Parameter ${}: ", value.number);
        add(&mut text, &head, &format!("{shown} ({}), {}", value.type_name, value.origin));
    }
    for note in &explained.notes {
        add(&mut text, "Note: ", note);
    }
    for missing in &explained.missing {
        let statement = missing.statement.iter().map(|statement| format!("; to see it: {statement}"));
        let statement: String = statement.collect();
        add(&mut text, "Not seen: ", &format!("{}: {}{statement}", missing.what, missing.why));
    }
    text
}

/// A paragraph whose further lines stand below the first one's text.
fn add(text: &mut String, head: &str, paragraph: &str) {
    let mut line = head.trim_end().to_owned();
    let mut is_first = true;
    for word in paragraph.split_whitespace() {
        if !is_first && line.chars().count() + 1 + word.chars().count() > COLUMNS_MAX {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
            line = " ".repeat(head.chars().count() - 1);
        }
        line.push(' ');
        line.push_str(word);
        is_first = false;
    }
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped() {
        let mut text = String::new();
        add(&mut text, "Note: ", &"word ".repeat(30));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("Note: word") && lines[0].len() <= COLUMNS_MAX);
        assert!(lines[1].starts_with("      word"), "{text}");
    }
}
