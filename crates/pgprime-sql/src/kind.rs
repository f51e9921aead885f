//! What statements do.

use serde::Serialize;

use super::facts::Facts;

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StatementKind {
    /// It reads and changes nothing itself; functions that it calls may.
    Read,
    /// It reads and locks the rows: SELECT FOR UPDATE and its like.
    Locking,
    /// It changes data or creates a table from what it reads, by itself or in a WITH.
    Write {
        /// Its word: `INSERT`, `SELECT INTO`.
        command: &'static str,
    },
    /// EXPLAIN of another statement.
    Explain,
    /// Anything else: it has no plan.
    Utility {
        /// Its first words: `CREATE TABLE`, `DO`.
        command: String,
    },
}

impl StatementKind {
    /// By a statement's nodes, and its text for what has no plan.
    pub(super) fn of(facts: &Facts, text: &str) -> Self {
        let has = |name: &str| facts.nodes.contains(name);
        match facts.root {
            "ExplainStmt" => Self::Explain,
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
                let commands = [
                    ("InsertStmt", "INSERT"),
                    ("UpdateStmt", "UPDATE"),
                    ("DeleteStmt", "DELETE"),
                    ("MergeStmt", "MERGE"),
                ];
                let own = commands.iter().find(|(name, _)| *name == facts.root);
                let command =
                    own.or_else(|| commands.iter().find(|(name, _)| has(name))).map(|(_, command)| *command);
                match command.or(facts.has_into.then_some("SELECT INTO")) {
                    Some(command) => Self::Write { command },
                    None if facts.has_locking => Self::Locking,
                    None => Self::Read,
                }
            }
            _ => Self::Utility { command: first_words(text) },
        }
    }
}

/// `DO`, but `CREATE TABLE`.
fn first_words(text: &str) -> String {
    let word =
        |word: &str| word.chars().take_while(|letter| letter.is_ascii_alphabetic()).collect::<String>();
    let mut words = text.split_whitespace().map(word).map(|word| word.to_ascii_uppercase());
    let first = words.next().unwrap_or_default();
    match (first.as_str(), words.next()) {
        ("CREATE" | "ALTER" | "DROP" | "REFRESH", Some(second)) => format!("{first} {second}"),
        _ => first,
    }
}
