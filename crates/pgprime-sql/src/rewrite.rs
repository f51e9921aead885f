//! Texts that pg_stat_statements made, into texts that PostgreSQL takes.
//!
//! It replaces constants by `$1` also where the grammar takes nothing but a constant: `INTERVAL $1`, `DATE $1`,
//! `EXTRACT($1 FROM …)`. The parser here reads those; the server does not.

use pg_query::protobuf::{ScanToken, Token};

use super::tree::Node;

/// A piece of the text to be written in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// `INTERVAL $1`: a type from here, and the parameter that follows it there.
    Cast { type_start: usize, parameter_start: usize },
}

impl Edit {
    /// The edit that a cast needs, if its type stands in front of a parameter without a bracket between them.
    pub(super) fn of_cast(cast: &Node) -> Option<Self> {
        let parameter = cast.child("arg").filter(|node| node.name == "ParamRef")?;
        let (type_start, parameter_start) = (cast.child("type_name")?.location(), parameter.location());
        (type_start < parameter_start).then_some(Self::Cast { type_start, parameter_start })
    }
}

/// A text as the server can prepare it; None when it needs no edit.
pub(super) fn preparable(
    text: &str,
    tokens: &[ScanToken],
    edits: &[Edit],
    start: usize,
    end: usize,
) -> Option<String> {
    let mut replaced: Vec<(usize, usize, String)> = Vec::new();
    for Edit::Cast { type_start, parameter_start } in edits {
        let parameter = tokens.iter().find(|token| byte(token.start) == *parameter_start)?;
        let (name, number) = (text.get(*type_start..*parameter_start)?, slice(text, parameter)?);
        replaced.push((*type_start, byte(parameter.end), format!("({number}::{})", name.trim())));
    }
    for window in tokens.windows(4) {
        if let [word, open, parameter, from] = window
            && is(word, Token::Extract)
            && is(open, Token::Ascii40)
            && is(parameter, Token::Param)
            && is(from, Token::From)
        {
            replaced.push((byte(word.start), byte(word.end), "pg_catalog.date_part".to_owned()));
            replaced.push((byte(from.start), byte(from.end), ",".to_owned()));
        }
    }
    if replaced.is_empty() {
        return None;
    }
    replaced.sort();
    let mut written = String::with_capacity(text.len());
    let mut at = start;
    for (from, to, piece) in replaced {
        written.push_str(text.get(at..from)?);
        written.push_str(&piece);
        at = to;
    }
    written.push_str(text.get(at..end)?);
    Some(written)
}

fn is(token: &ScanToken, kind: Token) -> bool {
    token.token == kind as i32
}

fn byte(place: i32) -> usize {
    usize::try_from(place).unwrap_or(0)
}

fn slice<'a>(text: &'a str, token: &ScanToken) -> Option<&'a str> {
    text.get(byte(token.start)..byte(token.end))
}
