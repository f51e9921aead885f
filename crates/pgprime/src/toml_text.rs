//! TOML for people to read and to change.

/// Comments are broken before this column.
const COLUMNS: usize = 118;

/// A string in which nothing is taken for anything else.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A text as lines that begin with `# `, each with its end. Further lines of an item, `- …`, are moved in.
pub(crate) fn comment(text: &str) -> String {
    let mut lines = String::new();
    for paragraph in text.lines() {
        let further = if paragraph.starts_with("- ") { "#  " } else { "#" };
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > COLUMNS && line.len() > further.len() {
                lines.push_str(&line);
                lines.push('\n');
                line = String::from(further);
            }
            line.push(' ');
            // What a name may hold and a comment may not.
            line.extend(word.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }));
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_read_as_it_was() {
        for text in ["", "plain", "it's \"quoted\"", "back\\slash", "two\nlines\t\u{7f}\u{0}", "größer"] {
            let read: toml::Table = toml::from_str(&format!("a = {}", quoted(text))).unwrap();
            assert_eq!(read["a"].as_str(), Some(text));
        }
    }

    #[test]
    fn comments_are_broken_between_words() {
        let text = comment(&"word ".repeat(50));
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.starts_with("# word") && line.len() <= COLUMNS), "{text}");
        assert_eq!(comment("a\nb"), "# a\n# b\n");
        assert!(toml::from_str::<toml::Table>(&comment("a\rb\u{1}\u{7f}c")).is_ok());
        let item = comment(&format!("- {}", "word ".repeat(50)));
        assert!(
            item.lines().skip(1).all(|line| line.starts_with("#   word") && line.len() <= COLUMNS),
            "{item}"
        );
    }
}
