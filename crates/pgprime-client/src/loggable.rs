//! SQL as it may stand in a log: without the values in it.

/// Bytes of a statement in a log line; its last word may go beyond.
const TEXT_BYTES_MAX: usize = 200;

/// The text with its literals and comments replaced, in one line, cut to a length that a log bears. What looks doubtful is
/// replaced: a log line may lack a word, never tell a value.
pub(crate) fn without_values(sql: &str) -> String {
    normalized(sql, TEXT_BYTES_MAX)
}

/// As [`without_values`], cut at this length.
pub(crate) fn normalized(sql: &str, bytes_max: usize) -> String {
    let mut scanner = Scanner { rest: sql, text: String::new() };
    while !scanner.rest.is_empty() && scanner.text.len() < bytes_max {
        scanner.step();
    }
    if !scanner.rest.is_empty() {
        scanner.text.push('…');
    }
    scanner.text.trim().to_owned()
}

struct Scanner<'a> {
    rest: &'a str,
    text: String,
}

impl Scanner<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        let Some(first) = rest.chars().next() else { return };
        if first == '\'' {
            let escapes = if self.follows_e() { Escapes::Backslash } else { Escapes::Unknown };
            self.literal(string_end(rest, escapes));
        } else if first == '"' {
            self.word(identifier_end(rest));
        } else if let Some(end) = dollar_quoted_end(rest) {
            self.literal(end);
        } else if first == '$' {
            self.word(1 + length_while(&rest[1..], |c| c.is_ascii_digit()));
        } else if rest.starts_with("--") {
            self.space(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.space(comment_end(rest));
        } else if first.is_ascii_digit() {
            self.literal(length_while(rest, |c| c.is_alphanumeric() || c == '.' || c == '_'));
        } else if first.is_whitespace() {
            self.space(length_while(rest, char::is_whitespace));
        } else if first.is_alphabetic() || first == '_' {
            self.word(length_while(rest, |c| c.is_alphanumeric() || c == '_' || c == '$'));
        } else {
            self.word(first.len_utf8());
        }
    }

    /// Whether `E` by itself stands before what comes next.
    fn follows_e(&self) -> bool {
        let before = self.text.strip_suffix(['e', 'E']);
        before.is_some_and(|text| !text.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'))
    }

    fn word(&mut self, end: usize) {
        self.text.push_str(&self.rest[..end]);
        self.rest = &self.rest[end..];
    }

    fn literal(&mut self, end: usize) {
        self.text.push('?');
        self.rest = &self.rest[end..];
    }

    fn space(&mut self, end: usize) {
        if !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        self.rest = &self.rest[end..];
    }
}

fn length_while(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// What a backslash in a string does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// It escapes what follows.
    Backslash,
    /// That is for `standard_conforming_strings` to say.
    Unknown,
}

/// Where the string that begins here ends. Where a backslash before a quote may or may not escape it, everything that
/// follows is taken for the string: either reading could take what comes after for a word.
fn string_end(text: &str, escapes: Escapes) -> usize {
    let mut escaped = false;
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        let is_before_quote = characters.peek().is_some_and(|(_, next)| *next == '\'');
        match c {
            _ if escaped => escaped = false,
            '\\' if escapes == Escapes::Backslash => escaped = true,
            '\\' if is_before_quote => return text.len(),
            '\'' if is_before_quote => escaped = true,
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Where the quoted name that begins here ends; two quotes in it are one.
fn identifier_end(text: &str) -> usize {
    let mut from = 1;
    while let Some(at) = text[from..].find('"') {
        let after = from + at + 1;
        if !text[after..].starts_with('"') {
            return after;
        }
        from = after + 1;
    }
    text.len()
}

/// Where the comment that begins here ends; there may be others in it.
fn comment_end(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        match text.get(at..at + 2) {
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            Some("*/") if depth == 1 => return at + 2,
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// Where `$tag$…$tag$` ends, if that begins here.
fn dollar_quoted_end(text: &str) -> Option<usize> {
    let tag_end = text.strip_prefix('$')?.find('$')? + 2;
    let tag = &text[..tag_end];
    let inner = &tag[1..tag_end - 1];
    let is_tag = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| text[tag_end..].find(tag).map_or(text.len(), |at| tag_end + at + tag_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_show() {
        for (sql, expected) in [
            ("SELECT  *\nFROM t1 WHERE a = $1", "SELECT * FROM t1 WHERE a = $1"),
            ("SELECT 'it''s', 12.5e3, x2 FROM t", "SELECT ?, ?, x2 FROM t"),
            ("SELECT E'a\\'secret' , 1", "SELECT E? , ?"),
            ("SELECT $$secret$$, $a$x$$y$a$ -- secret\n, 0x1F", "SELECT ?, ? , ?"),
            ("SELECT /* secret */ 1; SELECT 'open", "SELECT ?; SELECT ?"),
            ("SELECT \"Café\" = 'é'", "SELECT \"Café\" = ?"),
            // A name may hold a quote, and a comment comments.
            ("SELECT \"it's\", 'secret'", "SELECT \"it's\", ?"),
            ("SELECT \"a\"\"'b\" , 'secret', \"open's", "SELECT \"a\"\"'b\" , ?, \"open's"),
            ("SELECT /* a /* b */ secret */ 1 /*/ secret */", "SELECT ?"),
            ("SELECT /* /* secret */", "SELECT"),
            // What this backslash does is for the server's settings to say.
            ("SELECT 'C:\\', 'secret'", "SELECT ?"),
            ("SELECT 'C:\\temp', e'\\'', 'secret'", "SELECT ?, e?, ?"),
            ("SELECT type'\\', 'secret'", "SELECT type?"),
            ("$", "$"),
            ("SELECT $1$2", "SELECT $1$2"),
        ] {
            assert_eq!(without_values(sql), expected, "{sql}");
        }
        let long = format!("SELECT {}", "column_name, ".repeat(100));
        let text = without_values(&long);
        assert!(text.ends_with('…') && text.chars().count() < TEXT_BYTES_MAX + 20);
    }
}
