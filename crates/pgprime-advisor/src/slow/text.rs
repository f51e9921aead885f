//! Texts of statements: read lexically, so that any text is taken as it is, whole or cut off.

/// The comment by which this program's own statements are known.
const MARK: &str = "/* pgprime";
/// What PostgreSQL's `pg_get_viewdef` asks itself, whoever calls it.
const OF_VIEWDEF: &str = "SELECT * FROM pg_catalog.pg_rewrite WHERE ev_class = $1 AND rulename = $2";

/// A piece of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// White space or a comment.
    Gap,
    /// A string constant, with its quotes.
    Constant(&'a str),
    /// A name in double quotes.
    Name(&'a str),
    /// Letters, digits, `_` and `$`.
    Word(&'a str),
    /// Any other character.
    Sign(&'a str),
}

/// Whether a statement is pgprime's own, by the comment that it carries.
#[must_use]
pub fn is_own(text: &str) -> bool {
    text.contains(MARK)
}

/// Whether this program sends such a statement, too, without the comment. From version 16 on pg_stat_statements goes by what
/// is parsed: of these there is one entry for all, under the text that came first, and with the comment it might hide the
/// application's.
pub(super) fn is_shared(text: &str) -> bool {
    if text == OF_VIEWDEF {
        return true;
    }
    let words = words(text);
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != ";").collect();
    match words.as_slice() {
        ["commit" | "rollback"]
        | ["savepoint" | "release", ..]
        | ["rollback", "to", ..]
        | ["close" | "discard" | "reset" | "deallocate", "all"]
        | ["discard", "temp" | "sequences"]
        | ["unlisten", "*"]
        | ["reset", "role"]
        | ["reset", "session", "authorization"] => true,
        // Its names are of the time: `pgprime_explain_…`; from version 17 on they are left out.
        ["deallocate", name] => *name == "$1",
        _ => false,
    }
}

/// The statement on one line, without comments.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut has_gap = false;
    for piece in pieces(text) {
        let written = match piece {
            Piece::Gap => {
                has_gap = !line.is_empty();
                continue;
            }
            Piece::Constant(text) | Piece::Name(text) | Piece::Word(text) | Piece::Sign(text) => text,
        };
        if std::mem::take(&mut has_gap) {
            line.push(' ');
        }
        line.extend(written.chars().map(|character| if character.is_control() { ' ' } else { character }));
    }
    line
}

/// The first characters of a line, with an ellipsis when there are more.
pub(crate) fn shortened(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The statement without secrets. PostgreSQL replaces the constants of queries, but keeps those of other statements, which
/// may be passwords: constants of CREATE, ALTER and SET are left out, and any that follows the word PASSWORD.
pub(super) fn redacted(text: &str) -> String {
    let pieces = pieces(text);
    let first = pieces.iter().find(|piece| **piece != Piece::Gap);
    let hides_all = matches!(first, Some(Piece::Word(word)) if is_one_of(word, &["create", "alter", "set"]));
    let mut after_password = false;
    let mut start = 0;
    let mut redacted = String::with_capacity(text.len());
    for (piece, end) in ends(text) {
        let hides = matches!(piece, Piece::Constant(_)) && (hides_all || after_password);
        redacted.push_str(if hides { "'***'" } else { text.get(start..end).unwrap_or_default() });
        start = end;
        after_password = match piece {
            Piece::Gap => after_password,
            Piece::Word(word) if after_password => is_one_of(word, &["e", "to"]),
            Piece::Word(word) => is_one_of(word, &["password"]),
            Piece::Sign("=") => after_password,
            _ => false,
        };
    }
    redacted
}

/// The statement with its constants and parameters replaced, lower case: the same for texts of clients and those of
/// pg_stat_statements.
pub(super) fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for piece in pieces(text) {
        let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit() || first == '$');
        match piece {
            Piece::Gap => continue,
            Piece::Constant(_) => shape.push('?'),
            Piece::Word(word) if is_number(word) => shape.push('?'),
            Piece::Word(word) => shape.push_str(&word.to_lowercase()),
            Piece::Name(name) | Piece::Sign(name) => shape.push_str(name),
        }
        shape.push(' ');
    }
    // Ends of statements differ between protocols, and the point of a decimal number makes it two words.
    let shape = shape.trim_end_matches([' ', ';']).replace("? . ?", "?");
    without_lists(&shape.split(' ').collect::<Vec<_>>())
}

/// Lists of constants and rows of VALUES, whose length differs from call to call and which are told in different ways, are
/// as short as can be; so is the sign of a constant.
fn without_lists(words: &[&str]) -> String {
    const BEFORE_SIGN: [&str; 16] = [
        "(", "[", ",", "=", "<", ">", "+", "*", "/", "and", "or", "between", "then", "else", "limit",
        "offset",
    ];
    let mut kept: Vec<&str> = Vec::with_capacity(words.len());
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let is_sign = *word == "-" && after.first() == Some(&"?");
        if is_sign && kept.last().is_some_and(|last| BEFORE_SIGN.contains(last)) {
            continue;
        }
        kept.push(word);
        rest = match kept.as_slice() {
            [.., "in", "(", "?"] | [.., "array", "[", "?"] => behind_elements(rest, &["?"]),
            [.., "values"] => {
                let row = rest.iter().position(|word| *word == ")").map_or(&[][..], |end| &rest[..=end]);
                kept.extend_from_slice(row);
                behind_elements(&rest[row.len()..], row)
            }
            _ => rest,
        };
    }
    kept.join(" ")
}

/// What follows more elements of a list, or the dots that stand for them.
fn behind_elements<'w, 't>(mut rest: &'w [&'t str], element: &[&'t str]) -> &'w [&'t str] {
    loop {
        let Some(next) = rest.strip_prefix(&[","][..]) else { return rest };
        let next = next.strip_prefix(&["-"][..]).unwrap_or(next);
        match next.strip_prefix(element).or_else(|| next.strip_prefix(&[".", ".", "."][..])) {
            Some(after) if !element.is_empty() => rest = after,
            _ => return rest,
        }
    }
}

/// The words of a statement, lower case, in order; signs are words, too.
pub(super) fn words(text: &str) -> Vec<String> {
    let word = |piece| match piece {
        Piece::Gap => None,
        Piece::Constant(text) | Piece::Name(text) | Piece::Sign(text) => Some(text.to_owned()),
        Piece::Word(text) => Some(text.to_lowercase()),
    };
    pieces(text).into_iter().filter_map(word).collect()
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    ends(text).map(|(piece, _end)| piece).collect()
}

/// The pieces with the position behind each.
fn ends(text: &str) -> impl Iterator<Item = (Piece<'_>, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let length = piece_length(rest)?;
        let (whole, after) = rest.split_at(length);
        rest = after;
        Some((classified(whole), text.len() - after.len()))
    })
}

fn classified(piece: &str) -> Piece<'_> {
    let first = piece.chars().next().unwrap_or(' ');
    match first {
        _ if first.is_whitespace() || piece.starts_with("--") || piece.starts_with("/*") => Piece::Gap,
        '\'' => Piece::Constant(piece),
        '$' if piece.len() > 1 && !piece[1..].starts_with(|next: char| next.is_ascii_digit()) => {
            Piece::Constant(piece)
        }
        '"' => Piece::Name(piece),
        '$' => Piece::Word(piece),
        'e' | 'E' if piece[1..].starts_with('\'') => Piece::Constant(piece),
        _ if is_word(first) => Piece::Word(piece),
        _ => Piece::Sign(piece),
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

/// The length of the first piece in bytes; None at the end. What is not closed goes to the end.
fn piece_length(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    let to_end = |found: Option<usize>| found.unwrap_or(text.len());
    Some(match first {
        _ if first.is_whitespace() => to_end(text.find(|next: char| !next.is_whitespace())),
        '-' if text.starts_with("--") => to_end(text.find('\n')),
        '/' if text.starts_with("/*") => comment_length(text),
        '\'' => quoted_length(text, 1, '\'', false),
        '"' => quoted_length(text, 1, '"', false),
        'e' | 'E' if text[1..].starts_with('\'') => quoted_length(text, 2, '\'', true),
        '$' => dollar_length(text),
        _ if is_word(first) => to_end(text.find(|next: char| !is_word(next))),
        _ => first.len_utf8(),
    })
}

/// Comments lie within comments.
fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(rest) = text.get(position..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            position += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            position += 2;
        } else {
            position += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return position;
        }
    }
    text.len()
}

/// Up to the closing quote, which is not doubled, nor behind a backslash where that has a meaning.
fn quoted_length(text: &str, opened: usize, quote: char, has_escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(opened).peekable();
    while let Some((position, character)) = characters.next() {
        if has_escapes && character == '\\' {
            characters.next();
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return position + 1;
        }
    }
    text.len()
}

/// A parameter such as `$1`, or a constant between `$tag$` and `$tag$`.
fn dollar_length(text: &str) -> usize {
    let name = text[1..].find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(text.len() - 1);
    let tag_length = name + 2;
    let is_tag =
        text[1 + name..].starts_with('$') && !text[1..].starts_with(|next: char| next.is_ascii_digit());
    if !is_tag {
        return 1 + name;
    }
    let (tag, body) = text.split_at(tag_length);
    body.find(tag).map_or(text.len(), |position| tag_length + position + tag_length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_without_comments() {
        let table = [
            ("SELECT 1", "SELECT 1"),
            ("  SELECT\n\t1  -- one\n + 2 ", "SELECT 1 + 2"),
            ("SELECT /* a /* b */ c */ 'x  -- y'", "SELECT 'x  -- y'"),
            ("SELECT 'it''s' || E'\\'' || \"a \"\" b\"", "SELECT 'it''s' || E'\\'' || \"a \"\" b\""),
            (
                "DO $body$ BEGIN -- no comment\n $x$ $body$ /* end",
                "DO $body$ BEGIN -- no comment  $x$ $body$",
            ),
            ("SELECT 'open", "SELECT 'open"),
            ("SELECT $1, $2::int", "SELECT $1, $2::int"),
            ("-- only a comment", ""),
            ("", ""),
        ];
        for (text, line) in table {
            assert_eq!(one_line(text), line, "{text:?}");
        }
    }

    #[test]
    fn secrets_are_left_out() {
        let table = [
            ("ALTER ROLE app PASSWORD 'top''secret'", "ALTER ROLE app PASSWORD '***'"),
            (
                "/* x */ CREATE USER MAPPING FOR a SERVER b OPTIONS (password $$t$$)",
                "/* x */ CREATE USER MAPPING FOR a SERVER b OPTIONS (password '***')",
            ),
            ("set my.password = E'a\\'b'; SELECT 'c'", "set my.password = '***'; SELECT '***'"),
            ("SELECT f(password => $1), 'kept'", "SELECT f(password => $1), 'kept'"),
            ("COPY t FROM '/file'", "COPY t FROM '/file'"),
            ("DO 'x' password = 'p' 'kept'", "DO 'x' password = '***' 'kept'"),
            ("CREATE ROLE a PASSWORD 'cut off", "CREATE ROLE a PASSWORD '***'"),
        ];
        for (text, expected) in table {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn the_same_shape_with_and_without_constants() {
        let shape_of_extension = shape("SELECT * FROM quotes WHERE id = $1 AND x < $2 AND s = $3");
        for text in [
            "select *  from quotes\nwhere id=42 and x < 1.5 and s = 'a' ;",
            "SELECT * FROM quotes /* app */ WHERE id = $3 AND x < $1 AND s = E'\\'' -- end",
        ] {
            assert_eq!(shape(text), shape_of_extension, "{text}");
        }
        assert_ne!(shape("SELECT \"A\""), shape("SELECT \"a\""));
    }

    #[test]
    fn the_same_shape_however_long_a_list_is() {
        for (one, other) in [
            ("SELECT a IN ($1, ...) AND b", "SELECT a IN ($1, $2,$3) AND b"),
            ("SELECT a IN ($1 /*, ... */)", "SELECT a in (1, -2)"),
            ("SELECT ARRAY[$1, ...]", "SELECT ARRAY[1,2,3]"),
            (
                "INSERT INTO t VALUES ($1, $2), ... RETURNING a",
                "INSERT INTO t VALUES (1, 'a'), (2, 'b') RETURNING a",
            ),
            ("SELECT a FROM t WHERE b = -$1 LIMIT 1", "SELECT a FROM t WHERE b = $1 LIMIT $2"),
        ] {
            assert_eq!(shape(one), shape(other), "{one}");
        }
        assert_ne!(shape("SELECT f(1, 2)"), shape("SELECT f(1)"));
        assert_ne!(shape("SELECT a - 1"), shape("SELECT a 1"));
        assert_ne!(shape("INSERT INTO t VALUES (1, 2)"), shape("INSERT INTO t VALUES (1)"));
    }

    #[test]
    fn any_text_is_taken() {
        let hostile = [
            "$",
            "$$",
            "$a$",
            "$1$",
            "'",
            "\"",
            "e'",
            "E'\\",
            "/*",
            "*/",
            "--",
            "ä'ö''ü",
            "$ü$x$ü$",
            "\u{0}",
        ];
        for first in hostile {
            for second in hostile {
                let text = format!("{first}{second}");
                let whole: usize = ends(&text).map(|(_, end)| end).last().unwrap_or(0);
                assert_eq!(whole, text.len(), "{text:?}");
                let _ = (one_line(&text), redacted(&text), shape(&text), words(&text));
            }
        }
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
        assert!(is_own("SELECT /* pgprime: x */ 1") && !is_own("SELECT pgprime"));
        for text in [
            "COMMIT",
            "rollback;",
            "SAVEPOINT $1",
            "ROLLBACK TO SAVEPOINT a",
            "RESET ALL",
            "UNLISTEN *",
            "DISCARD ALL",
            OF_VIEWDEF,
        ] {
            assert!(is_shared(text), "{text}");
        }
        for text in
            ["SELECT 1", "COMMIT PREPARED 'a'", "RESET work_mem", "DISCARD PLANS", "DEALLOCATE mine", ""]
        {
            assert!(!is_shared(text), "{text}");
        }
    }
}
