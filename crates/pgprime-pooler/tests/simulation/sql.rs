//! The little language that the fake servers speak. Every statement carries an id, such as `#c3r17` (client 3,
//! request 17), or `$1` when the id comes with Bind; what it does is echoed with it.

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sql {
    pub(crate) verb: Verb,
    /// `c3r17`, `$1`, or nothing for a statement of the pooler's own.
    pub(crate) id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Rows with the id and so many bytes more.
    Select {
        rows: usize,
        bytes: usize,
    },
    Insert,
    Begin,
    Commit,
    Rollback,
    /// An error when it is executed.
    Fail,
    /// An error when it is parsed.
    Syntax,
    /// Runs until it is woken or cancelled.
    Sleep,
    /// A notice, and nothing else.
    Notice,
    Set {
        name: String,
        value: String,
    },
    Show(String),
    Reset(String),
    ResetAll,
    /// RESET ROLE and the like, which change nothing here.
    ResetOther,
    DiscardAll,
    DeallocateAll,
    Deallocate(String),
    CopyIn,
    CopyOut {
        rows: usize,
        bytes: usize,
    },
}

impl Verb {
    pub(crate) fn has_rows(&self) -> bool {
        matches!(self, Verb::Select { .. } | Verb::Show(_))
    }

    pub(crate) fn ends_transaction(&self) -> bool {
        matches!(self, Verb::Commit | Verb::Rollback)
    }
}

impl Sql {
    /// Whether the id comes with Bind.
    pub(crate) fn takes_parameter(&self) -> bool {
        self.id == "$1"
    }

    /// The client that the id names.
    pub(crate) fn client(id: &str) -> Option<u32> {
        id.strip_prefix('c')?.split_once('r')?.0.parse().ok()
    }

    /// The request that the id names.
    pub(crate) fn request(id: &str) -> Option<u64> {
        id.split_once('r')?.1.parse().ok()
    }
}

/// The statements of a text; `None` when one of them does not read.
pub(crate) fn parse(text: &[u8]) -> Option<Vec<Sql>> {
    let text = String::from_utf8_lossy(text);
    split(&text).iter().map(|statement| parse_one(statement)).collect()
}

/// Cuts at semicolons outside of quotes.
fn split(text: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '\'';
        match c {
            ';' if !quoted => statements.push(String::new()),
            _ => statements.last_mut().expect("one is always there").push(c),
        }
    }
    statements.retain(|statement| !statement.trim().is_empty());
    statements
}

fn parse_one(text: &str) -> Option<Sql> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let id = words.iter().find_map(|word| match *word {
        "$1" => Some("$1"),
        word => word.strip_prefix('#'),
    });
    let plain: Vec<&str> =
        words.iter().copied().filter(|word| *word != "$1" && !word.starts_with('#')).collect();
    let number = |place: usize| plain.get(place).and_then(|word| word.parse().ok()).unwrap_or(0);
    let verb = match (plain.first()?.to_ascii_uppercase().as_str(), plain.get(1).copied()) {
        ("SELECT", Some(word)) if word.starts_with("pg_catalog.set_config") => set_config(text)?,
        ("SELECT", _) => Verb::Select { rows: number(1), bytes: number(2) },
        ("INSERT", _) => Verb::Insert,
        ("BEGIN", _) => Verb::Begin,
        ("COMMIT", _) => Verb::Commit,
        ("ROLLBACK", _) => Verb::Rollback,
        ("FAIL", _) => Verb::Fail,
        ("SLEEP", _) => Verb::Sleep,
        ("NOTICE", _) => Verb::Notice,
        ("SHOW", Some(name)) => Verb::Show(name.to_string()),
        ("SET", _) => set(text)?,
        ("RESET", Some("ALL")) => Verb::ResetAll,
        ("RESET", Some("ROLE" | "SESSION")) => Verb::ResetOther,
        ("RESET", Some(name)) => Verb::Reset(name.to_string()),
        ("DISCARD", Some("ALL")) => Verb::DiscardAll,
        ("DEALLOCATE", Some("ALL")) => Verb::DeallocateAll,
        ("DEALLOCATE", Some(name)) => Verb::Deallocate(identifier(name)),
        ("COPYIN", _) => Verb::CopyIn,
        ("COPYOUT", _) => Verb::CopyOut { rows: number(1), bytes: number(2) },
        _ => Verb::Syntax,
    };
    Some(Sql { verb, id: id.unwrap_or_default().to_string() })
}

/// A name as PostgreSQL reads it: in lower case unless quoted.
fn identifier(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.to_string(),
        None => name.to_ascii_lowercase(),
    }
}

/// `SET name='value'`.
fn set(text: &str) -> Option<Verb> {
    let (name, rest) = text.trim().get(4..)?.split_once('=')?;
    Some(Verb::Set { name: name.trim().to_string(), value: literal(rest)? })
}

/// `SELECT pg_catalog.set_config('name', 'value', false)`.
fn set_config(text: &str) -> Option<Verb> {
    let (_, arguments) = text.split_once('(')?;
    let (name, value) = arguments.split_once(',')?;
    Some(Verb::Set { name: literal(name)?, value: literal(value)? })
}

fn literal(text: &str) -> Option<String> {
    let text = text.trim();
    let is_escaped = text.starts_with('E');
    let body = text.strip_prefix('E').unwrap_or(text).strip_prefix('\'')?;
    let mut value = String::new();
    let mut rest = body.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' if rest.peek() == Some(&'\'') => value.extend(rest.next()),
            '\'' => return Some(value),
            '\\' if is_escaped => value.extend(rest.next()),
            _ => value.push(c),
        }
    }
    None
}
