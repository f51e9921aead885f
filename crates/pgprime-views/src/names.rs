//! Names of views, and how names and texts are quoted for SQL.

use std::fmt;

use serde::{Serialize, Serializer};

/// Longest name of PostgreSQL; what is longer it would cut silently.
const NAME_BYTES_MAX: usize = 63;
/// Where views without a schema in their name are.
const DEFAULT_SCHEMA: &str = "public";

/// A view's schema and name, as they are in the catalog.
///
/// Written as in SQL: `report`, `admin.report`, `"My Schema"."Daily report"`. Without quotes a name is of letters, digits,
/// `_` and `$`, and is folded to lower case. Without a schema it is in `public`, whatever the search path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewName {
    schema: String,
    name: String,
}

impl ViewName {
    /// Reads a name as SQL writes it.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (first, rest) = part(text)?;
        let (schema, name) = match rest.strip_prefix('.') {
            None if rest.is_empty() => (DEFAULT_SCHEMA.to_owned(), first),
            None => return Err(malformed(text)),
            Some(rest) => match part(rest)? {
                (second, "") => (first, second),
                _ => return Err(malformed(text)),
            },
        };
        if schema.starts_with("pg_") || schema == "information_schema" {
            return Err(format!("schema {schema} is PostgreSQL's own"));
        }
        if schema == "pgprime" || schema == crate::names::BUILD_SCHEMA {
            return Err(format!("schema {schema} is for pgprime's own use"));
        }
        Ok(Self { schema, name })
    }

    /// A name as the catalog has it.
    #[must_use]
    pub fn from_catalog(schema: &str, name: &str) -> Self {
        Self { schema: schema.to_owned(), name: name.to_owned() }
    }

    /// The schema, not quoted.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The name in its schema, not quoted.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Quoted where that is needed: this is what goes into SQL, and what reports and the history show.
impl fmt::Display for ViewName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

impl Serialize for ViewName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where changed definitions are built; whatever is in it without an apply running was left behind by one.
pub const BUILD_SCHEMA: &str = "pgprime_build";

/// Checks a name that is already without quotes, as that of a column.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("an empty name".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("{name} has {} bytes, at most {NAME_BYTES_MAX} are possible", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err("control characters in a name".to_owned());
    }
    Ok(())
}

/// A name for SQL: in quotes unless it is plainly a word that needs none.
pub(crate) fn quoted(name: &str) -> String {
    let mut letters = name.chars();
    let is_plain = letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        && !RESERVED.contains(&name);
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A text for SQL. Backslashes stand for themselves whatever `standard_conforming_strings` says.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// One part of a name, and what follows it.
fn part(text: &str) -> Result<(String, &str), String> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(inside) => quoted_part(inside)?,
        None => {
            let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$';
            let end = text.find(|letter: char| !is_letter(letter)).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            if name.starts_with(|first: char| first.is_ascii_digit() || first == '$') {
                return Err(malformed(text));
            }
            (name.to_ascii_lowercase(), rest)
        }
    };
    if name.is_empty() {
        return Err(malformed(text));
    }
    check_name(&name)?;
    Ok((name, rest))
}

fn quoted_part(inside: &str) -> Result<(String, &str), String> {
    let mut name = String::new();
    let mut letters = inside.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != '"' {
            name.push(letter);
        } else if letters.next_if(|&(_, next)| next == '"').is_some() {
            name.push('"');
        } else {
            return Ok((name, inside.get(at + 1..).unwrap_or_default()));
        }
    }
    Err(format!("a quote that does not end: \"{inside}"))
}

fn malformed(text: &str) -> String {
    format!("{text:?} is not a name; write it as in SQL: daily_quotes, admin.daily_quotes, \"Daily quotes\"")
}

/// Words that PostgreSQL does not take as names of relations or columns without quotes.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    // Words with a meaning of their own where a value may stand.
    "between",
    "bigint",
    "bit",
    "boolean",
    "char",
    "character",
    "coalesce",
    "dec",
    "decimal",
    "exists",
    "extract",
    "float",
    "greatest",
    "grouping",
    "inout",
    "int",
    "integer",
    "interval",
    "least",
    "national",
    "nchar",
    "none",
    "normalize",
    "nullif",
    "numeric",
    "out",
    "overlay",
    "position",
    "precision",
    "real",
    "row",
    "setof",
    "smallint",
    "substring",
    "time",
    "timestamp",
    "treat",
    "trim",
    "values",
    "varchar",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sql_reads_them() {
        let long = "x".repeat(64);
        for (text, expected) in [
            ("report", Some("public.report")),
            ("Admin.Report", Some("admin.report")),
            ("\"My Shop\".\"Say \"\"hi\"\"\"", Some("\"My Shop\".\"Say \"\"hi\"\"\"")),
            ("\"report\"", Some("public.report")),
            ("public.\"user\"", Some("public.\"user\"")),
            ("\"x; DROP TABLE y\"", Some("public.\"x; DROP TABLE y\"")),
            ("x; DROP TABLE y", None),
            ("a.b.c", None),
            ("a.", None),
            ("", None),
            ("\"\"", None),
            ("\"open", None),
            ("1st", None),
            ("a b", None),
            ("\"a\u{0}b\"", None),
            ("pg_catalog.x", None),
            ("pgprime.x", None),
            (long.as_str(), None),
        ] {
            let name = ViewName::parse(text).map(|name| name.to_string());
            assert_eq!(name.as_deref().ok(), expected, "{text}: {name:?}");
        }
    }

    #[test]
    fn quoting() {
        assert_eq!(quoted("order"), "\"order\"");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\'"), "E'\\\\'''");
    }
}
