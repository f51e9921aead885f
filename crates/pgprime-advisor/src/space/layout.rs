//! Lines of at most 100 columns, without what a terminal would take for a command.

/// Columns of a line.
pub(crate) const WIDTH: usize = 100;

/// Words in lines, each with the indent.
pub(crate) fn wrap(text: &str, indent: usize) -> String {
    let room = WIDTH.saturating_sub(indent).max(1);
    let pieces = text.split(' ').flat_map(|word| {
        let letters: Vec<char> = word.chars().collect();
        let last = letters.len().saturating_sub(1) / room;
        // A name may be longer than a line.
        let piece = move |(at, piece): (usize, &[char])| (piece.iter().collect::<String>(), at == last);
        letters.chunks(room).enumerate().map(piece).collect::<Vec<_>>()
    });
    fill(pieces, indent)
}

/// SQL in lines. It is broken only where white space means nothing: outside quotes, at spaces and behind dots.
pub(crate) fn wrap_sql(sql: &str, indent: usize) -> String {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in sql.chars() {
        match (quote, letter) {
            (None, ' ') => {
                words.push((std::mem::take(&mut word), true));
                continue;
            }
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
        word.push(letter);
        if quote.is_none() && letter == '.' {
            words.push((std::mem::take(&mut word), false));
        }
    }
    words.push((word, true));
    fill(words.into_iter(), indent)
}

/// Fills lines with words; a word says whether a space follows it.
fn fill(words: impl Iterator<Item = (String, bool)>, indent: usize) -> String {
    let start = " ".repeat(indent);
    let (mut text, mut line, mut has_space) = (String::new(), String::new(), false);
    for (word, space_follows) in words {
        let word = printable(&word);
        let gap = usize::from(has_space && !line.is_empty());
        if !line.is_empty() && indent + columns(&line) + gap + columns(&word) > WIDTH {
            text.push_str(&format!("{start}{line}\n"));
            line.clear();
        } else if gap > 0 {
            line.push(' ');
        }
        line.push_str(&word);
        has_space = space_follows;
    }
    text + &start + &line + "\n"
}

/// The text in at most so many columns, its middle left out where it is longer.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let text = printable(text);
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= width {
        return text;
    }
    let head = width.saturating_sub(1) / 2;
    let tail = width.saturating_sub(1) - head;
    letters[..head].iter().chain(['…'].iter()).chain(&letters[letters.len() - tail..]).collect()
}

/// A name may hold anything, even what moves the cursor.
fn printable(text: &str) -> String {
    let letter = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(letter).collect()
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_is_broken_where_it_may_be() {
        let long = format!("VACUUM \"{}\".\"{} b\";", "a".repeat(60), "c ".repeat(30).trim_end());
        let lines = wrap_sql(&long, 6);
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(lines.lines().all(|line| line.chars().count() <= WIDTH), "{lines}");
        let joined: String = lines.lines().map(str::trim_start).collect();
        assert_eq!(joined, long);
        assert_eq!(wrap_sql("ANALYZE public.t;", 2), "  ANALYZE public.t;\n");
    }

    #[test]
    fn words_stay_whole_and_harmless() {
        let text = wrap(&"word ".repeat(60), 4);
        assert!(text.lines().all(|line| line.starts_with("    word") && line.len() <= WIDTH), "{text}");
        assert_eq!(wrap("red \u{1b}[31m", 0), "red \\u{1b}[31m\n");
        assert_eq!(fit("abcdefghij", 5), "ab…ij");
        assert_eq!(fit("abc", 5), "abc");
    }
}
