//! Places in a text, for people.

use std::fmt;

use serde::Serialize;

/// Characters of the text that are shown of a place.
const EXCERPT_CHARACTERS: usize = 40;

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Bytes before it.
    pub offset_bytes: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// The text from there on, up to the end of the line or a few words.
    pub excerpt: String,
}

impl Position {
    /// The place so many bytes into a text; the nearest character before it, if it is inside one.
    #[must_use]
    pub fn at(text: &str, offset_bytes: usize) -> Self {
        let mut offset_bytes = offset_bytes.min(text.len());
        while !text.is_char_boundary(offset_bytes) {
            offset_bytes -= 1;
        }
        let (before, after) = text.split_at(offset_bytes);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest_of_line = after.lines().next().unwrap_or_default();
        Self {
            offset_bytes,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            excerpt: rest_of_line.chars().take(EXCERPT_CHARACTERS).collect::<String>().trim_end().to_owned(),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)?;
        match self.excerpt.as_str() {
            "" => formatter.write_str(" (its end)"),
            excerpt => write!(formatter, ": {excerpt}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters() {
        let text = "SELECT 'ä'\n  FROM ö x y";
        let position = Position::at(text, text.find("x y").unwrap());
        assert_eq!((position.line, position.column, position.excerpt.as_str()), (2, 10, "x y"));
        assert_eq!(Position::at("ä", 1).offset_bytes, 0);
        assert_eq!(Position::at("a\n", 2).to_string(), "line 2, column 1 (its end)");
    }
}
