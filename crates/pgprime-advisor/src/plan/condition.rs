//! What a condition compares, read from the text that PostgreSQL writes.
//!
//! PostgreSQL puts parentheses around every operator, so that comparisons can be told apart without a parser of SQL.
//! What cannot be made out is left alone.

use super::limits::{CONDITION_BYTES_MAX, CONDITION_DEPTH_MAX};

/// One comparison of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comparison<'a> {
    pub(super) left: &'a str,
    pub(super) operator: &'a str,
    pub(super) right: &'a str,
    /// Whether rows have to meet it, because it is joined to the others by AND only.
    pub(super) is_required: bool,
}

/// How a column is hidden from an index on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrapping<'a> {
    Function(&'a str),
    Cast(&'a str),
    Operator,
}

const COMPARISONS: &[&str] = &[
    "=", "<", ">", "<=", ">=", "<>", "~~", "~~*", "!~~", "!~~*", "~", "~*", "!~", "!~*", "@>", "<@", "&&",
    "@@", "?",
];
/// Words that are no columns although they look like one.
const WORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "null",
    "true",
    "false",
    "is",
    "any",
    "all",
    "array",
    "row",
    "from",
    "case",
    "when",
    "then",
    "else",
    "end",
    "distinct",
    "current_date",
    "current_timestamp",
    "localtimestamp",
    "localtime",
    "current_time",
    "current_user",
    "session_user",
    "user",
    "collate",
    "at",
    "time",
    "zone",
    "with",
    "without",
    "varying",
    "precision",
    "interval",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "week",
    "quarter",
    "dow",
    "doy",
    "epoch",
    "century",
    "both",
    "leading",
    "trailing",
    "for",
    "in",
    "like",
    "similar",
    "between",
    "unknown",
    "of",
    "hashed",
    "subplan",
    "initplan",
];

/// All comparisons in `text`.
pub(super) fn comparisons(text: &str) -> Vec<Comparison<'_>> {
    let mut found = Vec::new();
    if text.len() <= CONDITION_BYTES_MAX {
        collect(text, true, 0, &mut found);
    }
    found
}

/// Whether alternatives are joined by OR.
pub(super) fn has_or(text: &str) -> bool {
    let mut quoted = false;
    text.char_indices().any(|(at, letter)| {
        quoted ^= letter == '\'';
        !quoted && text[at..].starts_with(" OR ")
    })
}

fn collect<'a>(text: &'a str, is_required: bool, depth: usize, found: &mut Vec<Comparison<'a>>) {
    let text = without_parentheses(text);
    if depth > CONDITION_DEPTH_MAX {
        return;
    }
    for (word, keeps) in [(" AND ", true), (" OR ", false)] {
        let parts = split(text, word);
        if parts.len() > 1 {
            parts.into_iter().for_each(|part| collect(part, is_required && keeps, depth + 1, found));
            return;
        }
    }
    if let Some(inner) = text.strip_prefix("NOT ") {
        return collect(inner, false, depth + 1, found);
    }
    if let Some((left, operator, right)) = compared(text) {
        found.push(Comparison { left, operator, right, is_required });
    }
}

/// Without the parentheses around the whole.
pub(super) fn without_parentheses(text: &str) -> &str {
    let mut text = text.trim();
    for _ in 0..CONDITION_DEPTH_MAX {
        let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { break };
        // `(a) = (b)` begins and ends with one, too.
        if outside(text).any(|(at, _)| at > 0 && at < text.len() - 1) {
            break;
        }
        text = inner.trim();
    }
    text
}

/// Positions and letters outside of parentheses, brackets and quotes; the last closing one counts as outside.
fn outside(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut depth, mut quote) = (0_i32, None);
    text.char_indices().filter(move |(_, letter)| {
        match (quote, *letter) {
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(*letter),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, _) => return depth == 0,
        }
        depth == 0 && quote.is_none()
    })
}

fn split<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in outside(text) {
        if at >= start && text[at..].starts_with(word) {
            parts.push(&text[start..at]);
            start = at + word.len();
        }
    }
    parts.push(&text[start..]);
    parts
}

fn compared(text: &str) -> Option<(&str, &str, &str)> {
    outside(text).find_map(|(at, letter)| {
        let rest = text[at..].strip_prefix(' ').filter(|_| letter == ' ')?;
        let (operator, right) = rest.split_once(' ')?;
        COMPARISONS.contains(&operator).then(|| (text[..at].trim(), operator, right.trim()))
    })
}

/// The column, if the expression is one and nothing else; as written, without the table before it.
pub(super) fn bare_column(expression: &str) -> Option<&str> {
    let expression = without_parentheses(expression);
    let parts = names(expression)?;
    let last = parts.last()?;
    let is_word = WORDS.contains(&last.to_ascii_lowercase().as_str());
    (!is_word).then_some(*last)
}

/// The parts of `a.b."C d"`; nothing where it is anything else.
fn names(expression: &str) -> Option<Vec<&str>> {
    let mut rest = expression;
    let mut parts = Vec::new();
    loop {
        let end = match rest.strip_prefix('"') {
            Some(quoted) => quoted.find('"')? + 2,
            None => {
                rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(rest.len())
            }
        };
        let (part, after) = rest.split_at(end);
        if part.is_empty() || part.starts_with(|letter: char| letter.is_ascii_digit()) {
            return None;
        }
        parts.push(part);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => return after.is_empty().then_some(parts),
        }
    }
}

/// How a column in `expression` is hidden, and which one it is; nothing where there is none, or where it is bare.
pub(super) fn wrapped_column(expression: &str) -> Option<(Wrapping<'_>, &str)> {
    let expression = without_parentheses(expression);
    if bare_column(expression).is_some() {
        return None;
    }
    let column = columns(expression).into_iter().next()?;
    if let Some((inner, target)) = cast(expression) {
        // A function below the cast says more.
        return wrapped_column(inner).or(Some((Wrapping::Cast(target), column)));
    }
    let name = expression.split('(').next().unwrap_or_default();
    let is_call = names(name).is_some()
        && expression.ends_with(')')
        && outside(expression).all(|(at, _)| at < name.len() || at + 1 == expression.len());
    Some((if is_call { Wrapping::Function(name) } else { Wrapping::Operator }, column))
}

/// The expression and type of `(x)::type`.
fn cast(expression: &str) -> Option<(&str, &str)> {
    let at = outside(expression).filter(|(at, _)| expression[*at..].starts_with("::")).last()?.0;
    let target = &expression[at + 2..];
    let is_type = target.chars().all(|letter| letter.is_alphanumeric() || " _(),.[]\"".contains(letter));
    is_type.then(|| (&expression[..at], target))
}

/// Columns that an expression reads, as far as they can be told from types, functions and words.
pub(super) fn columns(expression: &str) -> Vec<&str> {
    let (mut found, mut rest, mut is_type) = (Vec::new(), expression, false);
    while let Some(letter) = rest.chars().next() {
        let end = match letter {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            '"' => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            letter if letter.is_alphanumeric() || "_$.".contains(letter) => rest
                .find(|letter: char| !(letter.is_alphanumeric() || "_$.".contains(letter)))
                .unwrap_or(rest.len()),
            _ => letter.len_utf8(),
        };
        let (token, after) = rest.split_at(end);
        let is_name = letter == '"' || letter.is_alphabetic() || letter == '_';
        if is_name && !is_type && !after.starts_with('(') {
            let last = token.rsplit('.').next().unwrap_or(token);
            if !WORDS.contains(&last.to_ascii_lowercase().as_str()) && !after.starts_with('.') {
                found.push(last);
            }
        }
        is_type = token == ":";
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_told_apart() {
        let text = "((region = 3) AND ((created_at)::date = '2024-01-02'::date) AND ((a < 1) OR (b \
            ~~ '%(x AND y)%'::text)))";
        let found: Vec<_> = comparisons(text)
            .into_iter()
            .map(|found| (found.left, found.operator, found.right, found.is_required))
            .collect();
        let expected = [
            ("region", "=", "3", true),
            ("(created_at)::date", "=", "'2024-01-02'::date", true),
            ("a", "<", "1", false),
            ("b", "~~", "'%(x AND y)%'::text", false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn columns_are_found_where_they_hide() {
        let cases = [
            ("lower((email)::text)", Some((Wrapping::Function("lower"), "email"))),
            ("(id)::text", Some((Wrapping::Cast("text"), "id"))),
            (
                "date_trunc('day'::text, customers.created_at)",
                Some((Wrapping::Function("date_trunc"), "created_at")),
            ),
            ("EXTRACT(year FROM created_at)", Some((Wrapping::Function("EXTRACT"), "created_at"))),
            ("(id + 1)", Some((Wrapping::Operator, "id"))),
            ("(data ->> 'k'::text)", Some((Wrapping::Operator, "data"))),
            ("t.\"Some Column\"", None),
            ("date_trunc('day'::text, now())", None),
            ("'2024-01-02 00:00:00+00'::timestamp with time zone", None),
            ("$1", None),
        ];
        for (expression, expected) in cases {
            assert_eq!(wrapped_column(expression), expected, "{expression}");
        }
        assert_eq!(bare_column("(orders.status)"), Some("status"));
        assert_eq!(bare_column("7"), None);
    }

    #[test]
    fn odd_text_is_left_alone() {
        for text in
            ["", "(", ")(", "((((", "'", "a = ", " = b", "(a) = (b)", "é = 'ü", "\"", "NOT ", "::", "a::"]
        {
            let _ = comparisons(text);
            let _ = wrapped_column(text);
            let _ = has_or(text);
        }
        let deep = format!("{}a = 1{}", "(x AND ".repeat(500), ")".repeat(500));
        assert!(comparisons(&deep).len() <= 1);
    }
}
