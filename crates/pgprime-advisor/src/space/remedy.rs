//! Statements that a person may run, with the lock each takes.

use serde::Serialize;

/// A statement, the lock it takes and what that blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// SQL, or a command for the shell where `is_shell`.
    pub statement: String,
    /// Whether it is a command for the shell.
    pub is_shell: bool,
    /// The lock it takes, as PostgreSQL's documentation calls it, and on what.
    pub lock: String,
    /// What that blocks, and for how long.
    pub blocks: String,
    /// What it does and what to mind.
    pub note: Option<String>,
    #[serde(skip)]
    is_gentle: bool,
}

const MAINTENANCE_LOCK: &str = "SHARE UPDATE EXCLUSIVE";
const NO_TRAFFIC: &str = "no reads or writes; other maintenance and schema changes of the table";

impl Remedy {
    pub(crate) fn new(statement: String, lock: &str, blocks: &str) -> Self {
        let (lock, blocks) = (lock.to_owned(), blocks.to_owned());
        Self { statement, is_shell: false, lock, blocks, note: None, is_gentle: false }
    }

    /// Whether reads and writes go on meanwhile, but for a moment: it may be run while the service is at work.
    #[must_use]
    pub fn is_gentle(&self) -> bool {
        self.is_gentle
    }

    fn gentle(self) -> Self {
        Self { is_gentle: true, ..self }
    }

    /// For where something has to be done before it can be run.
    pub(crate) fn not_at_once(self) -> Self {
        Self { is_gentle: false, ..self }
    }

    /// A query that changes nothing.
    pub(crate) fn query(statement: String) -> Self {
        Self::new(statement, "ACCESS SHARE", "no reads or writes").gentle()
    }

    pub(crate) fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// A statement that keeps other maintenance away and lets reads and writes pass.
    pub(crate) fn quiet(statement: String) -> Self {
        Self::new(statement, MAINTENANCE_LOCK, NO_TRAFFIC).gentle()
    }

    pub(crate) fn vacuum(table: &str) -> Self {
        let note = "makes the space of dead rows free for new ones; the file hardly shrinks";
        Self::quiet(format!("VACUUM (ANALYZE) {table};")).noting(note)
    }

    pub(crate) fn vacuum_freeze(table: &str) -> Self {
        Self::quiet(format!("VACUUM (FREEZE) {table};")).noting("reads what is not frozen yet")
    }

    pub(crate) fn vacuum_full(table: &str) -> Self {
        let note =
            "writes the table anew: room for a whole copy is needed meanwhile; set lock_timeout before";
        Self::new(
            format!("VACUUM (FULL, ANALYZE) {table};"),
            "ACCESS EXCLUSIVE",
            "every read and write of the table until it is done",
        )
        .noting(note)
    }

    /// pg_repack, where the extension is in the database.
    pub(crate) fn repack(database: &str, table: &str) -> Self {
        let statement =
            format!("pg_repack --dbname={} --table={}", shell_quoted(database), shell_quoted(table));
        let blocks = "reads and writes for a moment, at its begin and at its end";
        let note = "needs the program pg_repack, a unique key without nulls, and room for a whole copy";
        Self { is_shell: true, ..Self::new(statement, "ACCESS EXCLUSIVE", blocks).noting(note).gentle() }
    }

    pub(crate) fn analyze(table: &str) -> Self {
        Self::quiet(format!("ANALYZE {table};")).noting("reads a sample of the rows")
    }

    pub(crate) fn reindex(index: &str) -> Self {
        let note = "builds it beside the old one: room for both is needed; if it fails, drop the index that ends in _ccnew";
        Self::quiet(format!("REINDEX INDEX CONCURRENTLY {index};")).noting(note)
    }

    /// For indexes that cannot be built anew concurrently.
    pub(crate) fn reindex_blocking(index: &str) -> Self {
        Self::new(
            format!("REINDEX INDEX {index};"),
            "SHARE on the table, ACCESS EXCLUSIVE on the index",
            "every write of the table, and reads that would use the index, until it is done",
        )
        .noting("an exclusion constraint's index cannot be built anew concurrently")
    }

    pub(crate) fn set_option(table: &str, options: &str) -> Self {
        Self::quiet(format!("ALTER TABLE {table} SET ({options});"))
    }

    pub(crate) fn reset_option(table: &str, options: &str) -> Self {
        Self::quiet(format!("ALTER TABLE {table} RESET ({options});"))
    }

    pub(crate) fn widen_sequence(sequence: &str) -> Self {
        Self::new(
            format!("ALTER SEQUENCE {sequence} AS bigint;"),
            "SHARE ROW EXCLUSIVE on the sequence",
            "new values of the sequence, for a moment",
        )
        .gentle()
    }

    /// Lets a sequence go to the ends of its type.
    pub(crate) fn unbound_sequence(sequence: &str) -> Self {
        Self::new(
            format!("ALTER SEQUENCE {sequence} NO MAXVALUE NO MINVALUE;"),
            "SHARE ROW EXCLUSIVE on the sequence",
            "new values of the sequence, for a moment",
        )
        .gentle()
    }

    pub(crate) fn widen_column(table: &str, column: &str) -> Self {
        let note = "writes table and indexes anew, and columns that refer to it have to follow; on a large table add a \
                    bigint column, fill it in batches and swap the two instead";
        Self::new(
            format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint;"),
            "ACCESS EXCLUSIVE",
            "every read and write of the table until it is done",
        )
        .noting(note)
    }
}

/// In single quotes where the shell would take it apart.
fn shell_quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_gets_one_word() {
        assert_eq!(shell_quoted("public.orders"), "public.orders");
        assert_eq!(shell_quoted(r#"public."it's; rm""#), r#"'public."it'\''s; rm"'"#);
        assert_eq!(shell_quoted(""), "''");
    }
}
