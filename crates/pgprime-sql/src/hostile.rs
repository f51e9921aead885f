//! Functions that nobody needs to ask the plan of.

use super::names::FunctionName;
use super::refusal::{Refusal, RefusalReason};

/// Beginnings of names of functions that act on other sessions, the server, its files or other servers, or run SQL that is
/// given to them as text. They are refused in any schema and even where they would only be planned.
const HOSTILE: &[&str] = &[
    "binary_upgrade_",
    "connectby",
    "crosstab",
    "cursor_to_xml",
    "database_to_xml",
    "dblink",
    "lo_export",
    "lo_import",
    "pg_backup_",
    "pg_cancel_backend",
    "pg_clear_",
    "pg_copy_",
    "pg_create_",
    "pg_drop_",
    "pg_execute_",
    "pg_file_",
    "pg_import_system",
    "pg_log_",
    "pg_logdir_",
    "pg_logical_",
    "pg_ls_",
    "pg_nextoid",
    "pg_promote",
    "pg_read_",
    "pg_reload_conf",
    "pg_replication_",
    "pg_restore_",
    "pg_rotate_",
    "pg_start_backup",
    "pg_stat_file",
    "pg_stat_reset",
    "pg_stat_statements_reset",
    "pg_stop_",
    "pg_switch_",
    "pg_sync_",
    "pg_terminate_backend",
    "pg_wal_replay_",
    "pg_write_",
    "query_to_xml",
    "schema_to_xml",
    "table_to_xml",
    "xpath_table",
];

/// The first function that is refused whatever it is asked for.
pub(super) fn find<'a>(mut functions: impl Iterator<Item = &'a FunctionName>) -> Result<(), Refusal> {
    let is_hostile = |function: &&FunctionName| HOSTILE.iter().any(|start| function.name.starts_with(start));
    match functions.find(is_hostile) {
        None => Ok(()),
        Some(function) => Err(Refusal::new(
            RefusalReason::HostileFunction,
            function.to_string(),
            "acts on other sessions, the server, its files or other servers, or runs SQL of its own",
        )),
    }
}
