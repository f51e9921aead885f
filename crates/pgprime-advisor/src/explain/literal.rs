//! Values as they stand in a statement.

use std::fmt::Write as _;

/// A value in quotes, for a server whose standard_conforming_strings is on, so that a backslash is nothing special.
pub(super) fn literal(value: Option<&str>) -> String {
    match value {
        Some(value) => format!("'{}'", value.replace('\'', "''")),
        None => "NULL".to_owned(),
    }
}

/// An array's text: `{"a","b"}`.
pub(super) fn array<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from("{");
    for (index, value) in values.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}\"{value}\"");
    }
    text + "}"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes() {
        assert_eq!(literal(Some("O'Brien \\' --")), "'O''Brien \\'' --'");
        assert_eq!(literal(None), "NULL");
        assert_eq!(array(["a", "b \"c\" \\d"].into_iter()), r#"{"a","b \"c\" \\d"}"#);
    }
}
