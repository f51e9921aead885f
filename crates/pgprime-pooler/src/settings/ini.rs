//! The grammar of one line of the file.

use std::borrow::Cow;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing: empty or a comment.
    Blank,
    /// `[name]`: what follows belongs to this section.
    Section(&'a str),
    /// `%include path`: read that file here.
    Include(&'a str),
    /// `key = value`; the value is whatever stands there to the end of the line, `;` and `#` included.
    Entry { key: Cow<'a, str>, value: &'a str },
}

/// Reads one line; an error says what is expected of it and repeats none of it, as it might hold a password.
pub(super) fn parse_line(line: &str) -> Result<Line<'_>, &'static str> {
    let line = line.trim();
    if line.contains('\0') {
        return Err("the line contains a zero byte; is this a text file?");
    }
    match line.chars().next() {
        None | Some(';' | '#') => Ok(Line::Blank),
        Some('[') => section(line),
        Some('%') => include(line),
        Some('"') => quoted_entry(line),
        Some(_) => entry(line),
    }
}

fn section(line: &str) -> Result<Line<'_>, &'static str> {
    let (name, rest) = line
        .strip_prefix('[')
        .and_then(|line| line.split_once(']'))
        .ok_or("a section begins with [name]; the ] is missing")?;
    if rest.is_empty() || rest.trim_start().starts_with([';', '#']) {
        Ok(Line::Section(name.trim()))
    } else {
        Err("after a section's [name] only a comment may follow on the line")
    }
}

fn include(line: &str) -> Result<Line<'_>, &'static str> {
    let path = line.strip_prefix("%include").ok_or("the only directive is: %include FILE")?;
    if !path.starts_with(char::is_whitespace) {
        return Err("expected: %include FILE");
    }
    Ok(Line::Include(path.trim_start()))
}

fn entry(line: &str) -> Result<Line<'_>, &'static str> {
    let (key, value) = line.split_once('=').ok_or("expected: key = value")?;
    let key = key.trim_end();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '*');
    if key.is_empty() {
        Err("there is no name before the =")
    } else if key.chars().all(plain) {
        Ok(Line::Entry { key: Cow::Borrowed(key), value: value.trim_start() })
    } else {
        Err("a name with characters other than letters, digits and _ . - must be written in double quotes")
    }
}

/// `"a ""quoted"" name" = value`
fn quoted_entry(line: &str) -> Result<Line<'_>, &'static str> {
    let (key, rest) = quoted(line, '"').ok_or("the closing double quote of the name is missing")?;
    let value = rest.trim_start().strip_prefix('=').ok_or("expected: \"name\" = value")?;
    if key.is_empty() {
        return Err("the name is empty");
    }
    Ok(Line::Entry { key: Cow::Owned(key), value: value.trim_start() })
}

/// Reads a text that begins with `quote`, up to the next single one; a doubled one stands for itself. Returns the
/// text without quotes and what follows.
pub(crate) fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix(quote)?;
    let mut content = String::new();
    loop {
        let (before, after) = rest.split_once(quote)?;
        content.push_str(before);
        match after.strip_prefix(quote) {
            Some(more) => {
                content.push(quote);
                rest = more;
            }
            None => return Some((content, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Line<'_>, &str>) {
        assert_eq!(parse_line(line), expected, "{line:?}");
    }

    fn entry_of<'a>(key: &'a str, value: &'a str) -> Result<Line<'a>, &'static str> {
        Ok(Line::Entry { key: Cow::Borrowed(key), value })
    }

    #[test]
    fn lines_that_say_something() {
        check("[databases]", Ok(Line::Section("databases")));
        check("  [ pgbouncer ] ; comment", Ok(Line::Section("pgbouncer")));
        check("[users]#x", Ok(Line::Section("users")));
        check("%include a file.ini ", Ok(Line::Include("a file.ini")));
        check("\t%include\t/etc/x ; y", Ok(Line::Include("/etc/x ; y")));
        check("a=1", entry_of("a", "1"));
        check("  a  =  1 = 2 ; # x  \r", entry_of("a", "1 = 2 ; # x"));
        check("app-1.b_C* =", entry_of("app-1.b_C*", ""));
        check("* = host=h", entry_of("*", "host=h"));
        check(r#""a ""b"" = c"= x"#, entry_of(r#"a "b" = c"#, "x"));
        check("\"é\" = x", entry_of("é", "x"));
    }

    #[test]
    fn lines_that_say_nothing() {
        for line in ["", "  \t ", ";", "# a = 1", "  ; [x"] {
            check(line, Ok(Line::Blank));
        }
    }

    #[test]
    fn lines_of_no_known_form() {
        check("[databases", Err("a section begins with [name]; the ] is missing"));
        check("[a] b", Err("after a section's [name] only a comment may follow on the line"));
        check("%includefile", Err("expected: %include FILE"));
        check("%include", Err("expected: %include FILE"));
        check("%exec ls", Err("the only directive is: %include FILE"));
        check("password", Err("expected: key = value"));
        check("= x", Err("there is no name before the ="));
        check("\"\" = x", Err("the name is empty"));
        check("\"a = x", Err("the closing double quote of the name is missing"));
        check("\"a\" x", Err("expected: \"name\" = value"));
        check("a\0=1", Err("the line contains a zero byte; is this a text file?"));
        let unquoted =
            "a name with characters other than letters, digits and _ . - must be written in double quotes";
        check("a b = x", Err(unquoted));
        check("é = x", Err(unquoted));
    }
}
