//! Names as a statement writes them.

use std::fmt;

use serde::Serialize;

/// A table, view or other relation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TableName {
    /// Its schema, where the statement names one.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// A function that is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FunctionName {
    /// Its schema, where the statement names one; special syntax such as `EXTRACT(…)` names pg_catalog.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// An operator that is written, or stands behind other syntax: `~~` behind LIKE.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct OperatorName {
    /// Its schema, where the statement names one.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// A type that is cast to or declared; the elements' type of an array.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TypeName {
    /// Its schema, where the statement names one; words of the grammar such as `integer` name pg_catalog.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// A name in double quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The schema, unless there is none, and the name, of two words or one; a database's name in front is left out.
pub(super) fn split(words: &[&str]) -> Option<(Option<String>, String)> {
    match words {
        [] => None,
        [name] => Some((None, (*name).to_owned())),
        [.., schema, name] => Some((Some((*schema).to_owned()), (*name).to_owned())),
    }
}

fn write_name(formatter: &mut fmt::Formatter<'_>, schema: Option<&str>, name: &str) -> fmt::Result {
    match schema {
        Some(schema) => write!(formatter, "{schema}.{name}"),
        None => formatter.write_str(name),
    }
}

macro_rules! named {
    ($($kind:ident),*) => {$(
        impl $kind {
            /// Schema and name in double quotes, as a statement can hold them.
            #[must_use]
            pub fn quoted(&self) -> String {
                match &self.schema {
                    Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.name)),
                    None => quoted(&self.name),
                }
            }
        }

        impl From<(Option<String>, String)> for $kind {
            fn from((schema, name): (Option<String>, String)) -> Self {
                Self { schema, name }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_name(formatter, self.schema.as_deref(), &self.name)
            }
        }
    )*};
}

named!(TableName, FunctionName, OperatorName, TypeName);
